use clap::CommandFactory as _;
use expect_test::expect_file;

use super::*;

/// All help there is, in one file that people read in a review.
#[test]
fn help_is_as_reviewed() {
    let mut command = Cli::command();
    command.build();
    let mut text = format!("$ vmm --help\n{}", command.render_long_help());
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names.iter().filter(|name| *name != "help") {
        let sub = command.find_subcommand_mut(name).expect("just listed");
        text.push_str(&format!("\n\n$ vmm {name} --help\n{}", sub.render_long_help()));
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    expect_file!["tests/help.txt"].assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn arguments_are_consistent() {
    Cli::command().debug_assert();
}
