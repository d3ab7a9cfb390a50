//! The settings of the Anchorer and the Listener.

use super::Config;
use super::batchers::Batchers;
use super::edge;
use super::env::{self, ConfigError, Settings};
use alloy_primitives::Address;
use std::collections::BTreeSet;
use streamchain_chain::anchorer::GasOwners;
use streamchain_chain::ethereum::{FeePolicy, NodeUrl, Signer, WEI_PER_GWEI, parse_gwei};
use streamchain_chain::{anchorer, batcher, listener, rounds};
use worker::Env;

/// The most that is paid for one gas: above what a day of Ethereum's mainnet asks for, below what empties an account.
const MAX_FEE: u128 = 200 * WEI_PER_GWEI;
/// No more is believed to be meant for one gas: a whole coin.
const MAX_FEE_LIMIT: u128 = 1_000_000_000 * WEI_PER_GWEI;
/// The local chain's: every block of it is read.
const LISTEN_INTERVAL_MS: u64 = 1_000;
/// The smallest tip offered, in wei per gas: the default of geth.
const TIP_FLOOR: u128 = 1_000_000;
/// A third of a block of Ethereum: how often a receipt is asked for, at most.
const POLL_MS: u64 = 4_000;
/// Three blocks of Ethereum: a transaction that pays enough is in one of them.
const BUMP_AFTER_MS: u64 = 36_000;
/// Two blocks of Ethereum: by then a pool may have dropped it.
const RESEND_AFTER_MS: u64 = 24_000;
/// Soon enough for an owner who waits, and rare enough to be asked for ever: one call for a hundred streams.
const RETRY_AFTER_MS: u64 = 10_000;
/// Once a minute: one call for a hundred streams.
const RECHECK_AFTER_MS: u64 = 60_000;
/// Gas for a UTC day off development chains, unless `DAILY_GAS_BUDGET` says otherwise: a round each minute (1,440 of 38,500
/// gas on average) and as much again as half of that. At 1 gwei that is 0.08 ether.
const DEFAULT_DAILY_GAS: u64 = 80_000_000;
/// How often a batcher whose runs no round takes says so again, at least: a call that was lost costs no more than this.
const ANNOUNCE_AFTER_MS: u64 = 30_000;
/// Blocks of one log query at first: most providers allow it, and those that do not say so.
const MAX_LOG_RANGE: u64 = 2_000;

/// What this setting is, for errors.
const RPC_URLS: &str = "http:// or https:// URLs with commas between";

/// What the chain's objects need to know.
pub(crate) struct ChainConfig {
    /// JSON-RPC URLs, in order of preference.
    pub urls: Vec<NodeUrl>,
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
    retry_after_ms: u64,
    max_fee: u128,
    daily_gas: Option<u64>,
    gas_owners: GasOwners,
    batchers: Batchers,
    rounds_owner: Address,
    /// Who has a reserve in each batcher: the operators, and the account that the streams called by name belong to.
    operators: BTreeSet<Address>,
    /// Blocks behind the head that count as final, on a chain that never names a finalized block.
    finality_depth: Option<u64>,
}

impl ChainConfig {
    /// The settings in `env`. Without a contract the chain's objects rest.
    pub(crate) fn of(environment: &Env) -> Result<Self, ConfigError> {
        let config = Config::of(environment)?;
        env::with(environment, |settings| Self::parse(&config, settings))
    }

    fn parse(config: &Config, settings: &Settings) -> Result<Self, ConfigError> {
        let not_deployed = || ConfigError::new("CONTRACT_ADDRESS", "not set: the contract is not deployed");
        Ok(Self {
            contract: config.contract.ok_or_else(not_deployed)?,
            urls: rpc_urls(settings)?,
            chain_id: config.chain_id,
            signer: edge::signer(settings)?,
            contract_block: config.contract_block,
            anchor_interval_ms: config.pace.offer_interval_ms,
            listen_interval_ms: settings
                .number("LISTEN_INTERVAL_MS", LISTEN_INTERVAL_MS)?
                .max(100),
            bump_after_ms: settings.number("ANCHOR_BUMP_AFTER_MS", BUMP_AFTER_MS)?.max(1_000),
            resend_after_ms: settings
                .number("ANCHOR_RESEND_AFTER_MS", RESEND_AFTER_MS)?
                .max(1_000),
            retry_after_ms: settings
                .number("ANCHOR_RETRY_AFTER_MS", RETRY_AFTER_MS)?
                .max(1_000),
            max_fee: max_fee(settings)?,
            daily_gas: daily_gas(settings, config.chain_id)?,
            gas_owners: config.gas_owners.clone(),
            batchers: config.batchers,
            rounds_owner: config.rounds_owner,
            operators: config.operators().chain([config.operator]).collect(),
            finality_depth: settings.parsed("FINALITY_DEPTH", "a decimal number of blocks")?,
        })
    }

    /// The settings of the Anchorer machine.
    pub(crate) fn anchorer(&self) -> anchorer::Settings {
        anchorer::Settings {
            chain_id: self.chain_id,
            contract: self.contract,
            interval_ms: self.anchor_interval_ms,
            fees: FeePolicy {
                cap: self.max_fee,
                tip_floor: TIP_FLOOR.min(self.max_fee),
            },
            bump_after_ms: self.bump_after_ms,
            resend_after_ms: self.resend_after_ms,
            retry_after_ms: self.retry_after_ms,
            daily_gas: self.daily_gas,
            poll_ms: POLL_MS,
            gas_owners: self.gas_owners.clone(),
            finality_depth: self.finality_depth,
            recheck_after_ms: RECHECK_AFTER_MS,
            rounds: Some(self.rounds()),
        }
    }

    /// The settings of the maker of rounds.
    fn rounds(&self) -> rounds::Settings {
        rounds::Settings {
            owner: self.rounds_owner,
            buckets_each: self.batchers.buckets_each(),
        }
    }

    /// The settings of a batcher.
    pub(crate) fn batcher(&self) -> batcher::Settings {
        batcher::Settings {
            buckets_each: self.batchers.buckets_each(),
            operators: self.operators.clone(),
            announce_after_ms: ANNOUNCE_AFTER_MS.max(2 * self.anchor_interval_ms),
        }
    }

    /// The listener's settings.
    pub(crate) fn listener(&self) -> listener::Settings {
        listener::Settings {
            chain_id: self.chain_id,
            contract: self.contract,
            start_block: self.contract_block,
            interval_ms: self.listen_interval_ms,
            max_range: MAX_LOG_RANGE,
            finality_depth: self.finality_depth,
        }
    }
}

fn rpc_urls(settings: &Settings) -> Result<Vec<NodeUrl>, ConfigError> {
    let urls = settings.list("CHAIN_RPC_URLS");
    let urls: Option<Vec<NodeUrl>> = urls.iter().map(|url| NodeUrl::parse(url)).collect();
    let urls = urls.ok_or_else(|| ConfigError::new("CHAIN_RPC_URLS", format!("expected {RPC_URLS}")))?;
    match urls.is_empty() {
        true => Err(ConfigError::new(
            "CHAIN_RPC_URLS",
            format!("not set: expected {RPC_URLS}"),
        )),
        false => Ok(urls),
    }
}

/// `None` only on a development chain: elsewhere there is a bound, whatever is forgotten.
fn daily_gas(settings: &Settings, chain_id: u64) -> Result<Option<u64>, ConfigError> {
    let set = settings.parsed("DAILY_GAS_BUDGET", "a decimal number")?;
    let default = (!edge::is_development_chain(chain_id)).then_some(DEFAULT_DAILY_GAS);
    Ok(set.or(default))
}

/// In wei.
fn max_fee(settings: &Settings) -> Result<u128, ConfigError> {
    let fee = settings.text("MAX_FEE_GWEI").map(|text| parse_gwei(&text));
    let fee = fee
        .unwrap_or(Some(MAX_FEE))
        .filter(|fee| (1..MAX_FEE_LIMIT).contains(fee));
    fee.ok_or_else(|| ConfigError::new("MAX_FEE_GWEI", "expected a positive number of gwei"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn parse(changes: &[(&str, &str)]) -> Result<ChainConfig, ConfigError> {
        let secret = "11".repeat(32);
        let mut values: HashMap<&str, &str> = HashMap::from([
            ("MASTER_SECRET", secret.as_str()),
            ("ANCHORER_KEY", secret.as_str()),
            ("CHAIN_ID", "31337"),
            ("CHAIN_RPC_URLS", "http://127.0.0.1:8545"),
            ("CONTRACT_ADDRESS", "0x5fbdb2315678afecb367f032d93f642f64180aa3"),
            ("CONTRACT_BLOCK", "7"),
        ]);
        values.extend(changes.iter().copied());
        let read = |name: &str| values.get(name).map(|value| (*value).to_owned());
        let settings = Settings::of(&read);
        ChainConfig::parse(&Config::parse(&settings)?, &settings)
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let config = parse(&[]).ok().unwrap();
        assert_eq!(config.anchorer().fees.cap, 200_000_000_000);
        assert_eq!(config.anchorer().retry_after_ms, 10_000);
        assert_eq!(
            (config.anchorer().interval_ms, config.anchorer().daily_gas),
            (2_000, None)
        );
        assert_eq!(
            (config.listener().start_block, config.listener().interval_ms),
            (7, 1_000)
        );
    }

    #[test]
    fn off_development_chains_the_days_gas_is_bounded() {
        let daily = |changes: &[(&str, &str)]| parse(changes).ok().unwrap().anchorer().daily_gas;
        assert_eq!(daily(&[("CHAIN_ID", "1337")]), None);
        assert_eq!(daily(&[("CHAIN_ID", "1")]), Some(DEFAULT_DAILY_GAS));
        assert_eq!(daily(&[("CHAIN_ID", "1"), ("DAILY_GAS_BUDGET", "7")]), Some(7));
    }

    #[test]
    fn what_is_set_holds() {
        let config = parse(&[
            ("CHAIN_RPC_URLS", "http://a, https://b"),
            ("FINALITY_DEPTH", "20"),
            ("MAX_FEE_GWEI", "0.5"),
            ("DAILY_GAS_BUDGET", "1000000"),
            ("ANCHOR_RETRY_AFTER_MS", "1500"),
        ]);
        let config = config.ok().unwrap();
        let urls: Vec<&str> = config.urls.iter().map(NodeUrl::as_str).collect();
        assert_eq!(urls, ["http://a", "https://b"]);
        assert_eq!((config.max_fee, config.daily_gas), (500_000_000, Some(1_000_000)));
        assert_eq!(config.anchorer().retry_after_ms, 1_500);
        let depths = (config.anchorer().finality_depth, config.listener().finality_depth);
        assert_eq!(depths, (Some(20), Some(20)));
    }

    #[test]
    fn every_error_names_its_variable() {
        for (name, value) in [
            ("CONTRACT_ADDRESS", ""),
            ("CHAIN_RPC_URLS", " , "),
            ("CHAIN_RPC_URLS", "ftp://a"),
            ("CHAIN_RPC_URLS", "https://u:%zz@a"),
            ("MAX_FEE_GWEI", "0"),
            ("MAX_FEE_GWEI", "much"),
            ("MAX_FEE_GWEI", "NaN"),
            ("ANCHOR_INTERVAL_MS", "2s"),
            ("DAILY_GAS_BUDGET", "-1"),
            ("FINALITY_DEPTH", "deep"),
        ] {
            let error = parse(&[(name, value)]).err();
            assert_eq!(error.map(|error| error.name), Some(name), "{value}");
        }
    }
}
