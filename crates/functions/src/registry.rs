//! The list of all functions, and finding one by name.
//!
//! Adding a function: a file with a `FUNCTIONS` slice, and one line here.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::aggregate::{self, AggregateFunction};
use crate::scalar::{self, ScalarFunction};
use crate::user;

/// The `FUNCTIONS` slices of the modules under [`crate::scalar`].
const SCALARS: &[&[ScalarFunction]] = &[
    scalar::comparison::FUNCTIONS,
    scalar::logical::FUNCTIONS,
    scalar::arithmetic::FUNCTIONS,
    scalar::math::approximate::FUNCTIONS,
    scalar::math::rounding::FUNCTIONS,
    scalar::math::sign::FUNCTIONS,
    scalar::math::random::FUNCTIONS,
    scalar::math::radix::FUNCTIONS,
    scalar::string::concat::FUNCTIONS,
    scalar::string::case::FUNCTIONS,
    scalar::string::length::FUNCTIONS,
    scalar::string::substring::FUNCTIONS,
    scalar::string::trim::FUNCTIONS,
    scalar::string::pad::FUNCTIONS,
    scalar::string::replace::FUNCTIONS,
    scalar::string::overlay::FUNCTIONS,
    scalar::string::position::FUNCTIONS,
    scalar::string::characters::FUNCTIONS,
    scalar::string::starts_ends::FUNCTIONS,
    scalar::string::split::FUNCTIONS,
    scalar::string::digits::FUNCTIONS,
    scalar::string::str_to_map::FUNCTIONS,
    scalar::string::printf::FUNCTIONS,
    scalar::string::like::FUNCTIONS,
    scalar::string::similar::FUNCTIONS,
    scalar::string::bytes_text::FUNCTIONS,
    scalar::string::url::FUNCTIONS,
    scalar::string::inet::FUNCTIONS,
    scalar::string::hash::FUNCTIONS,
    scalar::regexp::functions::FUNCTIONS,
    scalar::conditional::FUNCTIONS,
    scalar::json::value::FUNCTIONS,
    scalar::json::query::FUNCTIONS,
    scalar::json::exists::FUNCTIONS,
    scalar::json::is_json::FUNCTIONS,
    scalar::json::construct::FUNCTIONS,
    scalar::json::string::FUNCTIONS,
    scalar::json::quote::FUNCTIONS,
    scalar::json::variant::FUNCTIONS,
    scalar::collection::constructors::FUNCTIONS,
    scalar::collection::access::FUNCTIONS,
    scalar::collection::array_edit::FUNCTIONS,
    scalar::collection::array_search::FUNCTIONS,
    scalar::collection::array_sets::FUNCTIONS,
    scalar::collection::array_sort::FUNCTIONS,
    scalar::collection::array_extremes::FUNCTIONS,
    scalar::collection::array_join::FUNCTIONS,
    scalar::collection::maps::FUNCTIONS,
    scalar::collection::objects::FUNCTIONS,
    scalar::collection::bitmap::FUNCTIONS,
    scalar::temporal::current::FUNCTIONS,
    scalar::temporal::extract::FUNCTIONS,
    scalar::temporal::floor::FUNCTIONS,
    scalar::temporal::add::FUNCTIONS,
    scalar::temporal::diff::FUNCTIONS,
    scalar::temporal::format::FUNCTIONS,
    scalar::temporal::parse::FUNCTIONS,
    scalar::temporal::to_timestamp_ltz::FUNCTIONS,
    scalar::temporal::overlaps::FUNCTIONS,
];

/// The `FUNCTIONS` slices of the modules under [`crate::aggregate`].
const AGGREGATES: &[&[AggregateFunction]] = &[
    aggregate::count::FUNCTIONS,
    aggregate::sum::FUNCTIONS,
    aggregate::avg::FUNCTIONS,
    aggregate::min_max::FUNCTIONS,
    aggregate::variance::FUNCTIONS,
    aggregate::first_last::FUNCTIONS,
    aggregate::single_value::FUNCTIONS,
    aggregate::listagg::FUNCTIONS,
    aggregate::array_agg::FUNCTIONS,
    aggregate::collect::FUNCTIONS,
    aggregate::bitmap::FUNCTIONS,
    aggregate::json::FUNCTIONS,
    aggregate::percentile::FUNCTIONS,
    aggregate::approx_distinct::FUNCTIONS,
    aggregate::window_only::FUNCTIONS,
];

/// All scalar functions, in the order of their files.
pub fn all_scalars() -> impl Iterator<Item = &'static ScalarFunction> {
    SCALARS.iter().flat_map(|family| family.iter())
}

/// All aggregate functions, in the order of their files.
pub fn all_aggregates() -> impl Iterator<Item = &'static AggregateFunction> {
    AGGREGATES.iter().flat_map(|family| family.iter())
}

/// The scalar function called `name` (any case) or by one of its aliases.
pub fn scalar_function(name: &str) -> Option<&'static ScalarFunction> {
    static INDEX: OnceLock<HashMap<&'static str, &'static ScalarFunction>> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        all_scalars()
            .flat_map(|f| f.aliases.iter().chain([&f.name]).map(move |name| (*name, f)))
            .collect()
    });
    index
        .get(name.to_uppercase().as_str())
        .copied()
        .or_else(|| user::scalar(name))
}

/// The aggregate function called `name` (any case) or by one of its aliases.
pub fn aggregate_function(name: &str) -> Option<&'static AggregateFunction> {
    static INDEX: OnceLock<HashMap<&'static str, &'static AggregateFunction>> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        all_aggregates()
            .flat_map(|f| f.aliases.iter().chain([&f.name]).map(move |name| (*name, f)))
            .collect()
    });
    index
        .get(name.to_uppercase().as_str())
        .copied()
        .or_else(|| user::aggregate(name))
}
