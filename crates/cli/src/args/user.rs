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
    /// List users and the mechanisms of their credentials
    List {
        /// Only these users
        names: Vec<String>,
    },
    /// Create a user or change the password, which is read from standard input
    Set {
        name: String,
        /// SASL mechanism; both by default; may be repeated
        #[arg(long = "mechanism", value_enum)]
        mechanisms: Vec<Mechanism>,
        /// Hash iterations, 4096 to 16384
        #[arg(long, value_name = "N", default_value = "8192", value_parser = clap::value_parser!(i32).range(4096..=16384))]
        iterations: i32,
        /// Read the password from the first line of a file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Delete a user's credentials
    Delete {
        name: String,
        /// Only this mechanism; may be repeated
        #[arg(long = "mechanism", value_enum)]
        mechanisms: Vec<Mechanism>,
    },
    /// Manage bandwidth and request quotas
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
        /// Only quotas of exactly these entity types, with any name: users, clients, ips; may be repeated
        #[arg(long = "entity-type", value_enum)]
        entity_types: Vec<EntityType>,
    },
    /// Set quotas
    Set {
        #[command(flatten)]
        entity: EntityArgs,
        /// producer_byte_rate, consumer_byte_rate (bytes per second), request_percentage, controller_mutation_rate, or,
        /// for an IP address, connection_creation_rate
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

/// The entities that quotas apply to.
#[derive(Args, Debug)]
pub struct EntityArgs {
    /// User
    #[arg(long, value_name = "NAME", conflicts_with = "user_defaults")]
    pub user: Option<String>,
    /// All users without their own quotas
    #[arg(long)]
    pub user_defaults: bool,
    /// Client id
    #[arg(
        long,
        visible_alias = "client",
        value_name = "ID",
        conflicts_with = "client_defaults"
    )]
    pub client_id: Option<String>,
    /// All client ids without their own quotas
    #[arg(long)]
    pub client_defaults: bool,
    /// IP address
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["ip_defaults", "user", "user_defaults", "client_id", "client_defaults"])]
    pub ip: Option<String>,
    /// All IP addresses without their own quotas
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
