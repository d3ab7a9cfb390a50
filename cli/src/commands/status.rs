//! `streamchain status`: how a deployment, or one of its streams, is.

use crate::edge::EdgeArgs;
use crate::exit::Exit;
use crate::output::{Format, Output};
use clap::Args;
use relay_node::printable;
use serde_json::{Map, Value};
use streamchain_client::http::Method;
use streamchain_protocol::ids::StreamRef;

/// What the help text of the command ends with.
pub(crate) const STATUS_EXAMPLES: &str = "\
EXAMPLES
    streamchain status --edge https://streamchain.example
    streamchain status demo --json

Without a stream: chain, anchoring account, storage and relays. With one: its owner, its settings, and how many messages
are stored, anchored and final.";

/// `streamchain status`
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The stream, by name or id [default: the deployment]
    pub(crate) stream: Option<StreamRef>,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn run(args: &StatusArgs) -> Result<(), Exit> {
    let path = match &args.stream {
        Some(stream) => format!("/v1/streams/{stream}"),
        None => "/v1/status".to_owned(),
    };
    let status: Value = args.edge.client()?.json(Method::GET, &path, None).await?;
    let mut output = Output::new(Format::of(args.json));
    match (args.json, &status) {
        (false, Value::Object(members)) => {
            for line in lines("", members) {
                output.line(&line)?;
            }
        }
        _ => output.json(&status)?,
    }
    output.flush()
}

/// Each value on a line, with the path to it.
fn lines(path: &str, members: &Map<String, Value>) -> Vec<String> {
    let mut all = Vec::new();
    for (name, value) in members {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match value {
            Value::Object(members) => all.extend(lines(&path, members)),
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for (index, item) in items.iter().enumerate() {
                    let at = format!("{path}.{index}");
                    match item {
                        Value::Object(members) => all.extend(lines(&at, members)),
                        item => all.push(line(&at, item)),
                    }
                }
            }
            value => all.push(line(&path, value)),
        }
    }
    all
}

fn line(path: &str, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    format!("{:<32} {}", printable(path), printable(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_stand_behind_the_path_to_them() {
        let status = json!({ "chain": { "ok": true }, "relays": [{ "id": "a\n" }], "tags": [1, 2] });
        let shown = lines("", status.as_object().unwrap());
        let shown: Vec<_> = shown
            .iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .collect();
        assert_eq!(
            shown,
            [
                vec!["chain.ok", "true"],
                vec!["relays.0.id", "a\\n"],
                vec!["tags", "[1,2]"]
            ]
        );
    }
}
