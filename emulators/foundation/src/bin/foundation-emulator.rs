//! The foundation emulator as a program: starts, prints its endpoints as one line of JSON, serves until
//! interrupted.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use foundation_emulator::{Age, CellSpec, Foundation, Options, Scenario};
use serde_json::json;

/// A Cloud Foundry foundation on loopback ports.
#[derive(Debug, Parser)]
struct Arguments {
    /// Speak TLS, mutual where the platform does; needs --certificates to be of use.
    #[arg(long)]
    tls: bool,
    /// Where to write ca.pem, client.pem and client-key.pem.
    #[arg(long)]
    certificates: Option<PathBuf>,
    /// Generation of the platform.
    #[arg(long, value_enum, default_value_t)]
    age: Age,
    /// Serve the v2 API whatever the age.
    #[arg(long)]
    v2: bool,
    /// Number of cells.
    #[arg(long, default_value_t = 3)]
    cells: usize,
    /// Number of BBS addresses.
    #[arg(long, default_value_t = 2)]
    bbs_addresses: usize,
    /// Port of the control API.
    #[arg(long, default_value_t = 8900)]
    control_port: u16,
    /// Host of links in Cloud Controller's answers; `self` makes them work for clients that follow them.
    #[arg(long, default_value = foundation_emulator::options::EXTERNAL_URL)]
    external_url: String,
    /// A scenario as YAML; `none` starts empty. The built-in one is taken if this is absent.
    #[arg(long)]
    scenario: Option<String>,
}

fn scenario(name: Option<&str>) -> Result<Scenario, Box<dyn Error>> {
    Ok(match name {
        None => Scenario::built_in()?,
        Some("none") => Scenario::default(),
        Some(path) => Scenario::from_yaml(&std::fs::read_to_string(path)?)?,
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let scenario = scenario(arguments.scenario.as_deref())?;
    let foundation = Foundation::start(Options {
        tls: arguments.tls,
        age: arguments.age,
        v2: arguments.v2.then_some(true),
        cells: (0..arguments.cells)
            .map(|number| CellSpec::new(format!("diego-cell-{number}")))
            .collect(),
        bbs_addresses: arguments.bbs_addresses,
        control_port: arguments.control_port,
        external_url: arguments.external_url,
        ..Options::default()
    })
    .await?;
    foundation.load(&scenario)?;
    if let (Some(folder), Some(certificates)) = (&arguments.certificates, foundation.certificates()) {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("ca.pem"), &certificates.ca)?;
        std::fs::write(folder.join("client.pem"), &certificates.client_cert)?;
        std::fs::write(folder.join("client-key.pem"), &certificates.client_key)?;
    }
    println!(
        "{}",
        json!({"endpoints": foundation.endpoints(), "credentials": foundation.credentials()})
    );
    tokio::signal::ctrl_c().await?;
    foundation.stop().await;
    Ok(())
}
