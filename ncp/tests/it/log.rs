//! The log as it is set up from a configuration.

use crate::dir::Dir;
use ncp::config::{Config, Surroundings};
use ncp::logging::{Source, start};
use std::io;
use std::path::Path;

/// A configuration and nothing else.
struct Only(String);

impl Surroundings for Only {
    fn file(&self, path: &Path) -> io::Result<String> {
        if path == Path::new("ncp.ini") {
            Ok(self.0.clone())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// The one test of this process that sets the log up; a process has one log.
#[test]
fn events_reach_the_configured_file() {
    let dir = Dir::new();
    let logs = dir.path("log");
    let text = format!(
        "[DEFAULT]\nuse_stderr = False\nlog_dir = {}\n[coe]\nadaptor = pcf\n[nsx_v3]\nnsx_api_managers = nsx\n\
         nsx_api_user = u\nnsx_api_password = p\ntier0_router = t\ncontainer_ip_blocks = b\nexternal_ip_pools = p\n\
         [cf]\nuaa_client_id = c\nuaa_client_secret = s\nbbs_urls = http://127.0.0.1:1\n\
         policy_server_url = http://127.0.0.1:1\nlocket_addresses = 127.0.0.1:1\n",
        logs.display()
    );
    let config = Config::load_from(Path::new("ncp.ini"), &Only(text)).unwrap();
    start(Source::controller(), &config.logs, &config.coe, &config.k8s).unwrap();
    tracing::error!(target: "ncp::test", code = "NCP00009", "no answer");
    tracing::debug!(target: "ncp::test", "not at this level");
    let written = std::fs::read_to_string(logs.join("ncp.log")).unwrap();
    let lines: Vec<_> = written.lines().filter(|l| l.contains("ncp::test")).collect();
    assert_eq!(lines.len(), 1, "{written}");
    assert!(lines[0].contains("nsx-container-ncp"), "{written}");
    assert!(
        lines[0].ends_with(r#"level="ERROR" errorCode="NCP00009"] ncp::test no answer"#),
        "{written}"
    );
    assert!(start(Source::controller(), &config.logs, &config.coe, &config.k8s).is_err());
}
