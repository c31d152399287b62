//! `CREATE TABLE … LIKE source (…)`: merging the source's definition with the statement's own.

use crate::bind::Binder;
use crate::bind::error::{SqlError, SqlResult};
use crate::catalog::ddl_text::quoted_identifier;
use crate::catalog::{CatalogTable, ResolvedTable, TableColumn, TableColumnKind};
use crate::parse::ast::{LikeFeature, MergingStrategy, TableLike};

impl Binder<'_> {
    /// The definition of the table after LIKE.
    pub(super) fn like_source(&self, clause: &TableLike) -> SqlResult<ResolvedTable> {
        let identifier = self.qualify(&clause.source)?;
        let text = quoted_identifier(&identifier);
        let Some(found) = self.catalogs.table(&identifier) else {
            let names = self
                .catalogs
                .table_names(&identifier.catalog, &identifier.database);
            return Err(SqlError::at(
                clause.source.span,
                format!("Source table '{text}' of the LIKE clause not found in the catalog"),
            )
            .offering(&identifier.name, names.iter().map(String::as_str)));
        };
        match found.table {
            CatalogTable::Table(table) => Ok(table.clone()),
            CatalogTable::View(_) => Err(SqlError::at(
                clause.source.span,
                format!("Source table '{text}' of the LIKE clause can not be a VIEW"),
            )),
        }
    }
}

/// What to do with each feature of the source.
struct Strategies(Vec<(LikeFeature, MergingStrategy)>);

impl Strategies {
    fn new(clause: &TableLike) -> SqlResult<Self> {
        use LikeFeature as F;
        let mut given: Vec<(LikeFeature, MergingStrategy)> = Vec::new();
        for option in &clause.options {
            if given.iter().any(|(feature, _)| *feature == option.feature) {
                return Err(SqlError::at(
                    option.span,
                    "Each like option feature can be declared only once",
                ));
            }
            let may_overwrite = matches!(
                option.feature,
                F::Options | F::Watermarks | F::Generated | F::Metadata
            );
            if option.strategy == MergingStrategy::Overwriting && !may_overwrite {
                return Err(SqlError::at(
                    option.span,
                    format!(
                        "Illegal merging strategy '{}' for '{}' option",
                        option.strategy.word(),
                        option.feature.word()
                    ),
                ));
            }
            given.push((option.feature, option.strategy));
        }
        Ok(Self(given))
    }

    fn of(&self, feature: LikeFeature) -> MergingStrategy {
        let find = |wanted: LikeFeature| {
            self.0
                .iter()
                .find(|(f, _)| *f == wanted)
                .map(|(_, strategy)| *strategy)
        };
        let default = match feature {
            LikeFeature::Options => MergingStrategy::Overwriting,
            _ => MergingStrategy::Including,
        };
        find(feature)
            .or_else(|| find(LikeFeature::All))
            .unwrap_or(default)
    }

    fn includes(&self, feature: LikeFeature) -> bool {
        self.of(feature) != MergingStrategy::Excluding
    }
}

/// The source's definition with the statement's own put on top.
pub(super) fn merge(
    base: &ResolvedTable,
    own: ResolvedTable,
    clause: &TableLike,
) -> SqlResult<ResolvedTable> {
    let strategies = Strategies::new(clause)?;
    let at = |message: String| SqlError::at(clause.span, message);
    let advise = |feature: LikeFeature, overwrite: bool| {
        let word = feature.word();
        let or = if overwrite {
            format!(" or OVERWRITING {word}")
        } else {
            String::new()
        };
        format!("You might want to specify EXCLUDING {word}{or}")
    };
    let columns = merge_columns(base, own.columns, &strategies, clause)?;
    let watermark = match (own.watermark, &base.watermark) {
        (Some(own), Some(_)) if strategies.of(LikeFeature::Watermarks) == MergingStrategy::Including => {
            return Err(at(format!(
                "There already exists a watermark spec for column '{}' in the base table. {}",
                own.column,
                advise(LikeFeature::Watermarks, true)
            )));
        }
        (Some(own), _) => Some(own),
        (None, base) => base
            .clone()
            .filter(|_| strategies.includes(LikeFeature::Watermarks)),
    };
    let base_key = base
        .primary_key
        .clone()
        .filter(|_| strategies.includes(LikeFeature::Constraints));
    let primary_key = match (own.primary_key, base_key) {
        (Some(_), Some(_)) => {
            return Err(at(format!(
                "The base table already has a primary key. {}",
                advise(LikeFeature::Constraints, false)
            )));
        }
        (own, base) => own.or(base),
    };
    let partition_keys = match (own.partition_keys.is_empty(), base.partition_keys.is_empty()) {
        (false, false) if strategies.includes(LikeFeature::Partitions) => {
            return Err(at(format!(
                "The base table already has partitions defined. {}",
                advise(LikeFeature::Partitions, false)
            )));
        }
        (false, _) => own.partition_keys,
        // As in Flink, the source's partitions stay even when they are excluded.
        (true, _) => base.partition_keys.clone(),
    };
    let base_distribution = base
        .distribution
        .clone()
        .filter(|_| strategies.includes(LikeFeature::Distribution));
    let distribution = match (own.distribution, base_distribution) {
        (Some(_), Some(_)) => {
            return Err(at(format!(
                "The base table already has a distribution defined. {}",
                advise(LikeFeature::Distribution, false)
            )));
        }
        (own, base) => own.or(base),
    };
    let strategy = strategies.of(LikeFeature::Options);
    let mut options = if strategy == MergingStrategy::Excluding {
        Default::default()
    } else {
        base.options.clone()
    };
    for (key, value) in own.options {
        if let Some(old) = options
            .get(&key)
            .filter(|_| strategy == MergingStrategy::Including)
        {
            return Err(at(format!(
                "There already exists an option ['{key}' -> '{old}'] in the base table. {}",
                advise(LikeFeature::Options, true)
            )));
        }
        options.insert(key, value);
    }
    Ok(ResolvedTable {
        columns,
        watermark,
        primary_key,
        distribution,
        partition_keys,
        comment: own.comment,
        options,
        partitions: Vec::new(),
    })
}

fn merge_columns(
    base: &ResolvedTable,
    own: Vec<TableColumn>,
    strategies: &Strategies,
    clause: &TableLike,
) -> SqlResult<Vec<TableColumn>> {
    let feature_of = |column: &TableColumn| match column.kind {
        TableColumnKind::Physical => None,
        TableColumnKind::Metadata { .. } => Some(LikeFeature::Metadata),
        TableColumnKind::Computed(_) => Some(LikeFeature::Generated),
    };
    let kept = base
        .columns
        .iter()
        .filter(|column| feature_of(column).is_none_or(|f| strategies.includes(f)));
    let mut columns: Vec<TableColumn> = kept.cloned().collect();
    for column in own {
        let Some(place) = columns.iter().position(|known| known.name == column.name) else {
            columns.push(column);
            continue;
        };
        let feature = feature_of(&column).filter(|f| feature_of(&columns[place]) == Some(*f));
        match feature {
            Some(feature) if strategies.of(feature) == MergingStrategy::Overwriting => {
                columns[place] = column
            }
            Some(feature) => {
                let kind = if feature == LikeFeature::Generated {
                    "generated"
                } else {
                    "metadata"
                };
                let word = feature.word();
                return Err(SqlError::at(
                    clause.span,
                    format!(
                        "A {kind} column named '{}' already exists in the base table. You might want to specify \
                         EXCLUDING {word} or OVERWRITING {word}",
                        column.name
                    ),
                ));
            }
            None => {
                let message = format!(
                    "A column named '{}' already exists in the base table",
                    column.name
                );
                return Err(SqlError::at(clause.span, message));
            }
        }
    }
    Ok(columns)
}
