//! `streamchain keys`: API keys of the account that the token is of.

use crate::edge::EdgeArgs;
use crate::exit::Exit;
use crate::output::{Format, Output};
use clap::{Args, Subcommand};
use relay_node::printable;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use streamchain_client::core::SignGroups;
use streamchain_client::http::{EdgeClient, Method};
use streamchain_client::signing::SigningKey;
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{KeyId, StreamRef};

/// What the help text of the command ends with.
pub(crate) const KEYS_EXAMPLES: &str = "\
EXAMPLES
    export STREAMCHAIN_EDGE=https://streamchain.example STREAMCHAIN_TOKEN=…
    key=$(streamchain keys make sensor --rights write --stream temperature --days 90)
    echo 21.5 | STREAMCHAIN_TOKEN=$key streamchain pub temperature
    streamchain keys list
    streamchain keys certify 00c0ffee00c0ffee sensor.key
    streamchain keys revoke 00c0ffee00c0ffee

A key is made by a wallet that signed in: STREAMCHAIN_TOKEN is its access token. The key is written to standard output
once, and nobody can read it again.";

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key, and write it to standard output
    Make(MakeArgs),
    /// List the account's keys
    List(ListArgs),
    /// Register the key that a service signs with: from then on it signs with this one, and with no other
    Certify(CertifyArgs),
    /// Revoke a key: its tokens and sessions end with it
    Revoke(RevokeArgs),
}

/// `streamchain keys make`
#[derive(Debug, Args)]
pub(crate) struct MakeArgs {
    /// What you call it
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
    /// What it may do: read, write, manage, separated by commas
    #[arg(long, required = true, value_delimiter = ',', value_parser = right)]
    pub(crate) rights: Vec<Right>,
    /// The streams that it is for, by name or id; may be repeated [default: all]
    #[arg(long = "stream", value_name = "STREAM")]
    pub(crate) streams: Vec<StreamRef>,
    /// The file with the key that the service will sign with, as of pub --key; it is made where there is none
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Days until it ends [default: never]
    #[arg(long, value_name = "DAYS")]
    pub(crate) days: Option<u32>,
    /// Write all that is known of it, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `streamchain keys list`
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
    /// Write JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// `streamchain keys certify`
#[derive(Debug, Args)]
pub(crate) struct CertifyArgs {
    /// The API key's id, as the list has it
    pub(crate) id: KeyId,
    /// The file with the key that signs, as of pub --key; it is made where there is none
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
}

/// `streamchain keys revoke`
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The key's id, as the list has it
    pub(crate) id: KeyId,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
}

fn right(text: &str) -> Result<Right, String> {
    serde_json::from_value(json!(text)).map_err(|_| "expected read, write or manage".to_owned())
}

pub(crate) async fn run(command: &KeysCommand) -> Result<(), Exit> {
    match command {
        KeysCommand::Make(args) => make(&args.edge.client()?, args).await,
        KeysCommand::List(args) => list(&args.edge.client()?, args).await,
        KeysCommand::Certify(args) => {
            let key = SigningKey::of_file(&args.file)?.public_key();
            let path = format!("/v1/keys/{}/public-key", args.id);
            let wanted = json!({ "publicKey": key });
            let _: Value = args
                .edge
                .client()?
                .json(Method::PUT, &path, Some(&wanted))
                .await?;
            Ok(())
        }
        KeysCommand::Revoke(args) => {
            let path = format!("/v1/keys/{}", args.id);
            let _: Value = args.edge.client()?.json(Method::DELETE, &path, None).await?;
            Ok(())
        }
    }
}

async fn make(edge: &EdgeClient, args: &MakeArgs) -> Result<(), Exit> {
    let mut wanted = json!({ "name": args.name, "rights": args.rights });
    if let Some(members) = wanted.as_object_mut() {
        if !args.streams.is_empty() {
            let streams: Vec<String> = args.streams.iter().map(StreamRef::to_string).collect();
            members.insert("streams".into(), json!(streams));
        }
        if let Some(file) = &args.key {
            let key = SigningKey::of_file(file)?.public_key();
            members.insert("publicKey".into(), json!(key));
        }
        if let Some(days) = args.days {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs();
            let expires = (now + u64::from(days) * 24 * 3_600) * 1_000;
            members.insert("expires".into(), json!(expires));
        }
    }
    let made: Value = edge.json(Method::POST, "/v1/keys", Some(&wanted)).await?;
    let mut output = Output::new(Format::of(args.json));
    match made.get("key").and_then(Value::as_str) {
        Some(key) if !args.json => output.line(&printable(key))?,
        _ => output.json(&made)?,
    }
    output.flush()
}

async fn list(edge: &EdgeClient, args: &ListArgs) -> Result<(), Exit> {
    let listed: Value = edge.json(Method::GET, "/v1/keys", None).await?;
    let mut output = Output::new(Format::of(args.json));
    for key in listed.get("keys").and_then(Value::as_array).into_iter().flatten() {
        if args.json {
            output.json(key)?;
            continue;
        }
        let text = |name: &str| match key.get(name) {
            Some(Value::String(text)) => printable(text),
            Some(value) => printable(&value.to_string()),
            None => "-".to_owned(),
        };
        let (id, rights, streams, name) = (text("id"), text("rights"), text("streams"), text("name"));
        output.line(&format!("{id}  {rights}  {streams}  {name}"))?;
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_words() {
        assert!(
            ["read", "write", "manage"]
                .into_iter()
                .all(|word| right(word).is_ok())
        );
        assert!(right("own").is_err());
    }
}
