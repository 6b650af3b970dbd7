//! `vmm clone`: children of a running VM, each with a directory of its own under the run root.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use vmm_control::spawn::{ChildNetwork, ChildOptions, Launch, clone_vm};
use vmm_control::{Console, NetworkBackend};

use super::target::SOCKET;
use super::{Output, Target};

/// What `vmm clone` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmm clone --vm web1 10                                           web1-1 to web1-10
  vmm clone --vm web1 3 --prefix job --network eth0=passt:net/{}.sock

All children start from the same moment; the VM stands still only for that and runs on. A child
shares the VM's memory until either writes, and gets a new generation id before it runs.")]
pub struct CloneArgs {
    #[command(flatten)]
    target: Target,
    /// How many
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// Children are called PREFIX-1, PREFIX-2, … [default: the VM's name]
    #[arg(long)]
    prefix: Option<String>,
    /// A network's backend in each child; {} stands for the child's number
    #[arg(long, value_name = "ID=tap:NAME|ID=passt:SOCKET")]
    network: Vec<String>,
    /// Leave the children paused
    #[arg(long)]
    paused: bool,
    /// Where the VM's disks get their new overlays [default: beside the control socket]
    #[arg(long, value_name = "DIR")]
    overlays: Option<PathBuf>,
}

#[derive(Serialize)]
struct Child {
    name: String,
    pid: u32,
    control: PathBuf,
}

pub fn clone(arguments: &CloneArgs, out: Output) -> anyhow::Result<()> {
    let Some(prefix) = arguments.prefix.as_ref().or(arguments.target.vm.as_ref()) else {
        bail!("the children need names: use --prefix");
    };
    let program = std::env::current_exe().context("can't find this program itself")?;
    let options = |number| {
        let name = format!("{prefix}-{number}");
        let run_directory = arguments.target.root.of(&name)?;
        let networks = arguments.network.iter().map(|text| network(text, number)).collect::<anyhow::Result<_>>()?;
        let mut launch = Launch::new(&program, &run_directory.join(SOCKET));
        launch.errors = Some(run_directory.join("errors.log"));
        Ok((name, ChildOptions { run_directory, launch, vsock: None, networks, console: Console::Off }))
    };
    let numbered = (1..=arguments.count).map(options).collect::<anyhow::Result<Vec<_>>>()?;
    let (names, options): (Vec<String>, Vec<ChildOptions>) = numbered.into_iter().unzip();
    if let Some(taken) = options.iter().find(|options| options.run_directory.exists()) {
        bail!("{} exists: remove it, or use another --prefix", taken.run_directory.display());
    }
    let overlays = arguments.overlays.clone().map_or_else(|| arguments.target.directory(), Ok)?;
    let mut vms = clone_vm(&mut arguments.target.connect_patiently()?, &overlays, &options)?;
    if !arguments.paused {
        for vm in &mut vms {
            vm.client.resume()?;
        }
    }
    let child = |((name, options), vm): ((String, ChildOptions), &vmm_control::spawn::Vm)| Child {
        name,
        pid: vm.child.id(),
        control: options.launch.control,
    };
    let children: Vec<Child> = names.into_iter().zip(options).zip(&vms).map(child).collect();
    out.print(&children, |children| children.iter().map(|child| format!("{} {}\n", child.name, child.pid)).collect())
}

/// `eth0=tap:tap{}` or `eth0=passt:passt-{}.sock`.
pub fn network(text: &str, number: u16) -> anyhow::Result<ChildNetwork> {
    let numbered = |text: &str| text.replace("{}", &number.to_string());
    let (id, backend) = text.split_once('=').unwrap_or((text, ""));
    let backend = match backend.split_once(':') {
        Some(("tap", name)) => NetworkBackend::Tap(numbered(name)),
        Some(("passt", socket)) => NetworkBackend::Passt(numbered(socket).into()),
        _ => bail!("`{text}` is no network: expected ID=tap:NAME or ID=passt:SOCKET"),
    };
    Ok(ChildNetwork { id: id.to_owned(), backend, mac: None })
}
