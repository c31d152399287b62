//! Arguments of `millstream user`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ClientArgs, key_value};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  echo s3cret | millstream user set alice
  millstream user set alice --mechanism SCRAM-SHA-256 --password-file alice.txt
  millstream user list
  millstream user delete alice --mechanism SCRAM-SHA-256
  millstream user quota set --user alice producer_byte_rate=1048576
  millstream user quota list --entity-type users --entity-type clients")]
pub struct UserArgs {
    #[command(subcommand)]
    pub command: UserCommand,
    #[command(flatten)]
    pub client: ClientArgs,
}

#[derive(Subcommand, Debug)]
pub enum UserCommand {
    /// List users and the mechanisms for which they have passwords
    List {
        /// Only these
        names: Vec<String>,
    },
    /// Make a user, or give a new password, which is read from standard input
    Set {
        name: String,
        /// For which mechanism; both unless given; may be repeated
        #[arg(long = "mechanism", value_enum)]
        mechanisms: Vec<Mechanism>,
        /// Rounds of hashing, 4096 to 16384
        #[arg(long, value_name = "N", default_value = "8192", value_parser = clap::value_parser!(i32).range(4096..=16384))]
        iterations: i32,
        /// Read the password from the first line of a file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Delete a user's passwords
    Delete {
        name: String,
        /// Only for this mechanism; may be repeated
        #[arg(long = "mechanism", value_enum)]
        mechanisms: Vec<Mechanism>,
    },
    /// Limits of bytes and requests
    Quota {
        #[command(subcommand)]
        command: QuotaCommand,
    },
}

#[derive(Subcommand, Debug)]
pub enum QuotaCommand {
    /// List quotas
    List {
        #[command(flatten)]
        entity: EntityArgs,
        /// Only quotas of exactly these kinds of parts, whatever their names: users, clients, ips; may be repeated
        #[arg(long = "entity-type", value_enum)]
        entity_types: Vec<EntityType>,
    },
    /// Set quotas
    Set {
        #[command(flatten)]
        entity: EntityArgs,
        /// producer_byte_rate, consumer_byte_rate (bytes a second), request_percentage, controller_mutation_rate, or
        /// connection_creation_rate of an address
        #[arg(required = true, value_name = "KEY=NUMBER", value_parser = key_value)]
        values: Vec<(String, String)>,
    },
    /// Remove quotas
    Remove {
        #[command(flatten)]
        entity: EntityArgs,
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}

/// Whom quotas are for.
#[derive(Args, Debug)]
pub struct EntityArgs {
    /// A user
    #[arg(long, value_name = "NAME", conflicts_with = "user_defaults")]
    pub user: Option<String>,
    /// All users without quotas of their own
    #[arg(long)]
    pub user_defaults: bool,
    /// A client id
    #[arg(
        long,
        visible_alias = "client",
        value_name = "ID",
        conflicts_with = "client_defaults"
    )]
    pub client_id: Option<String>,
    /// All client ids without quotas of their own
    #[arg(long)]
    pub client_defaults: bool,
    /// An address
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["ip_defaults", "user", "user_defaults", "client_id", "client_defaults"])]
    pub ip: Option<String>,
    /// All addresses without quotas of their own
    #[arg(long, conflicts_with_all = ["user", "user_defaults", "client_id", "client_defaults"])]
    pub ip_defaults: bool,
}

/// `--entity-type`
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum EntityType {
    Users,
    Clients,
    Ips,
}

/// `--mechanism`
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Mechanism {
    #[value(name = "SCRAM-SHA-256")]
    Sha256,
    #[value(name = "SCRAM-SHA-512")]
    Sha512,
}
