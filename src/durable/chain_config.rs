//! The settings of the Anchorer and the Listener.

use super::to_error;
use crate::config::{Config, ConfigError};
use crate::rpc::Rpc;
use alloy_primitives::Address;
use std::cell::OnceCell;
use streamchain_chain::fees::FeePolicy;
use streamchain_chain::tx::Signer;
use streamchain_chain::{listener, sender};
use worker::{Env, Error};

const WEI_PER_GWEI: f64 = 1e9;
/// The smallest tip offered, in wei per gas: what geth asks for unless told otherwise.
const TIP_FLOOR: u128 = 1_000_000;
/// Three blocks of Ethereum: a transaction that pays enough is in one of them.
const BUMP_AFTER_MS: u64 = 36_000;
/// Two blocks of Ethereum: by then a pool may have dropped it.
const RESEND_AFTER_MS: u64 = 24_000;
/// Once a minute: one call for a hundred streams.
const RECHECK_AFTER_MS: u64 = 60_000;
/// Blocks of one log query at first: most providers allow it, and those that do not say so.
const MAX_LOG_RANGE: u64 = 2_000;

/// What the chain's objects need to know.
pub struct ChainConfig {
    /// JSON-RPC URLs, in order of preference.
    pub urls: Vec<String>,
    /// The chain's id.
    pub chain_id: u64,
    /// The StreamChain contract.
    pub contract: Address,
    /// The signing account.
    pub signer: Signer,
    contract_block: u64,
    anchor_interval_ms: u64,
    listen_interval_ms: u64,
    bump_after_ms: u64,
    resend_after_ms: u64,
    max_fee: u128,
    daily_gas: Option<u64>,
}

impl ChainConfig {
    /// The settings in `env`. Without a contract the chain's objects rest.
    pub fn of(env: &Env) -> Result<Self, ConfigError> {
        let config = Config::of(env)?;
        let read = |name: &str| env.var(name).ok().map(|value| value.to_string());
        let text = |name: &'static str| read(name).map(|text| text.trim().to_owned()).unwrap_or_default();
        let wrong = |name, reason: &str| ConfigError {
            name,
            reason: reason.to_owned(),
        };
        let number = |name: &'static str, default: u64| match text(name).as_str() {
            "" => Ok(default),
            text => text.parse().map_err(|_| wrong(name, "expected a decimal number")),
        };
        let Some(contract) = config.contract else {
            return Err(wrong("CONTRACT_ADDRESS", "not set: the contract is not deployed"));
        };
        let urls = text("CHAIN_RPC_URLS");
        let urls: Vec<String> = urls
            .split(',')
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .map(str::to_owned)
            .collect();
        if urls.is_empty()
            || !urls
                .iter()
                .all(|url| url.starts_with("http://") || url.starts_with("https://"))
        {
            return Err(wrong(
                "CHAIN_RPC_URLS",
                "expected http:// or https:// URLs with commas between",
            ));
        }
        let max_fee = match text("MAX_FEE_GWEI").as_str() {
            "" => 200.0,
            text => text.parse::<f64>().unwrap_or(f64::NAN),
        };
        if !(max_fee > 0.0 && max_fee < 1e9) {
            return Err(wrong("MAX_FEE_GWEI", "expected a positive number of gwei"));
        }
        let signer = Signer::from_hex(&text("ANCHORER_KEY"));
        Ok(Self {
            urls,
            chain_id: config.chain_id,
            contract,
            signer: signer.map_err(|error| wrong("ANCHORER_KEY", &error.to_string()))?,
            contract_block: number("CONTRACT_BLOCK", 0)?,
            anchor_interval_ms: number("ANCHOR_INTERVAL_MS", 2_000)?.max(100),
            listen_interval_ms: number("LISTEN_INTERVAL_MS", 1_000)?.max(100),
            bump_after_ms: number("ANCHOR_BUMP_AFTER_MS", BUMP_AFTER_MS)?.max(1_000),
            resend_after_ms: number("ANCHOR_RESEND_AFTER_MS", RESEND_AFTER_MS)?.max(1_000),
            daily_gas: match text("DAILY_GAS_BUDGET").as_str() {
                "" => None,
                _ => Some(number("DAILY_GAS_BUDGET", 0)?),
            },
            max_fee: (max_fee * WEI_PER_GWEI) as u128,
        })
    }

    /// The sender's settings.
    pub fn sender(&self) -> sender::Settings {
        sender::Settings {
            chain_id: self.chain_id,
            contract: self.contract,
            interval_ms: self.anchor_interval_ms,
            fees: FeePolicy {
                cap: self.max_fee,
                tip_floor: TIP_FLOOR.min(self.max_fee),
            },
            bump_after_ms: self.bump_after_ms,
            resend_after_ms: self.resend_after_ms,
            daily_gas: self.daily_gas,
            recheck_after_ms: RECHECK_AFTER_MS,
        }
    }

    /// The listener's settings.
    pub fn listener(&self) -> listener::Settings {
        listener::Settings {
            chain_id: self.chain_id,
            contract: self.contract,
            start_block: self.contract_block,
            interval_ms: self.listen_interval_ms,
            max_range: MAX_LOG_RANGE,
        }
    }
}

/// The nodes that the configuration names, set up when they are first needed.
pub fn rpc<'a>(cell: &'a OnceCell<Rpc>, env: &Env) -> Result<&'a Rpc, Error> {
    if cell.get().is_none() {
        let config = ChainConfig::of(env).map_err(to_error)?;
        let _ = cell.set(Rpc::new(config.chain_id, config.urls));
    }
    cell.get().ok_or_else(|| Error::RustError("no node".into()))
}
