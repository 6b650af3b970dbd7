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

#[test]
fn no_cause_is_told_twice() {
    let check = |layers: &[&str], expected: &str| {
        let mut causes = layers.iter().rev();
        let innermost = anyhow::Error::msg(causes.next().expect("one").to_string());
        let error = causes.fold(innermost, |error, layer| error.context(layer.to_string()));
        assert_eq!(words(&error), expected);
    };
    check(&["no room"], "no room");
    check(&["state", "no room"], "state: no room");
    check(&["kept", "state: damaged at 8", "damaged at 8"], "kept: state: damaged at 8");
}
