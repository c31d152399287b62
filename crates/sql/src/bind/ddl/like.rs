//! `CREATE TABLE … LIKE source (…)`: merging the source's definition with the statement's own.

use millstream_types::{ErrorCode, Options};

use crate::bind::Binder;
use crate::bind::error::{SqlError, SqlResult};
use crate::catalog::ddl_text::quoted_identifier;
use crate::catalog::{CatalogTable, ResolvedTable, TableColumn, TableColumnKind, WatermarkDefinition};
use crate::parse::ast::{LikeFeature, MergingStrategy, TableLike};

impl Binder<'_> {
    /// The table definition after LIKE was applied.
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
            .with_code(ErrorCode::UnknownTable)
            .missing(&identifier)
            .offering(&identifier.name, names.iter().map(String::as_str)));
        };
        match found.table {
            CatalogTable::Table(table) => Ok(table.clone()),
            CatalogTable::View(_) => Err(SqlError::at(
                clause.source.span,
                format!("Source table '{text}' of the LIKE clause can not be a VIEW"),
            )
            .with_code(ErrorCode::InvalidSchema)),
        }
    }
}

/// The merge strategy for each feature of the source.
struct Strategies(Vec<(LikeFeature, MergingStrategy)>);

impl Strategies {
    fn new(clause: &TableLike) -> SqlResult<Self> {
        use LikeFeature as F;
        let mut given: Vec<(LikeFeature, MergingStrategy)> = Vec::new();
        for option in &clause.options {
            if given.iter().any(|(feature, _)| *feature == option.feature) {
                return Err(
                    SqlError::at(option.span, "Each like option feature can be declared only once")
                        .with_code(ErrorCode::InvalidSchema),
                );
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
                )
                .with_code(ErrorCode::InvalidSchema));
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

/// Merges the statement's own definition into the source's.
pub(super) fn merge(
    base: &ResolvedTable,
    own: ResolvedTable,
    clause: &TableLike,
) -> SqlResult<ResolvedTable> {
    let merger = Merger {
        strategies: Strategies::new(clause)?,
        clause,
    };
    Ok(ResolvedTable {
        columns: merge_columns(base, own.columns, &merger.strategies, clause)?,
        watermark: merger.watermark(own.watermark, base.watermark.as_ref())?,
        primary_key: merger.only_one(
            own.primary_key,
            base.primary_key.as_ref(),
            LikeFeature::Constraints,
            "a primary key",
        )?,
        distribution: merger.only_one(
            own.distribution,
            base.distribution.as_ref(),
            LikeFeature::Distribution,
            "a distribution defined",
        )?,
        partition_keys: merger.partition_keys(own.partition_keys, &base.partition_keys)?,
        comment: own.comment,
        options: merger.options(own.options, &base.options)?,
        partitions: Vec::new(),
    })
}

/// Merges the features of a table one by one.
struct Merger<'c> {
    strategies: Strategies,
    clause: &'c TableLike,
}

impl Merger<'_> {
    /// Both tables define something that a table can have only once.
    fn conflict(&self, message: String, feature: LikeFeature, overwrite: bool) -> SqlError {
        let word = feature.word();
        let or = if overwrite {
            format!(" or OVERWRITING {word}")
        } else {
            String::new()
        };
        let message = format!("{message}. You might want to specify EXCLUDING {word}{or}");
        SqlError::at(self.clause.span, message).with_code(ErrorCode::InvalidSchema)
    }

    /// A feature that a table can have only once and that cannot be overwritten.
    fn only_one<T: Clone>(
        &self,
        own: Option<T>,
        base: Option<&T>,
        feature: LikeFeature,
        name: &str,
    ) -> SqlResult<Option<T>> {
        let base = base.filter(|_| self.strategies.includes(feature));
        if own.is_some() && base.is_some() {
            return Err(self.conflict(format!("The base table already has {name}"), feature, false));
        }
        Ok(own.or_else(|| base.cloned()))
    }

    fn watermark(
        &self,
        own: Option<WatermarkDefinition>,
        base: Option<&WatermarkDefinition>,
    ) -> SqlResult<Option<WatermarkDefinition>> {
        let feature = LikeFeature::Watermarks;
        match (own, base) {
            (Some(own), Some(_)) if self.strategies.of(feature) == MergingStrategy::Including => {
                let message = format!(
                    "There already exists a watermark spec for column '{}' in the base table",
                    own.column
                );
                Err(self.conflict(message, feature, true))
            }
            (Some(own), _) => Ok(Some(own)),
            (None, base) => Ok(base.filter(|_| self.strategies.includes(feature)).cloned()),
        }
    }

    /// As in Flink, the source's partitions are kept even when they are excluded.
    fn partition_keys(&self, own: Vec<String>, base: &[String]) -> SqlResult<Vec<String>> {
        if own.is_empty() {
            return Ok(base.to_vec());
        }
        if !base.is_empty() && self.strategies.includes(LikeFeature::Partitions) {
            let message = "The base table already has partitions defined".to_owned();
            return Err(self.conflict(message, LikeFeature::Partitions, false));
        }
        Ok(own)
    }

    fn options(&self, own: Options, base: &Options) -> SqlResult<Options> {
        let strategy = self.strategies.of(LikeFeature::Options);
        let mut options = if strategy == MergingStrategy::Excluding {
            Options::default()
        } else {
            base.clone()
        };
        for (key, value) in own {
            if let Some(old) = options
                .get(&key)
                .filter(|_| strategy == MergingStrategy::Including)
            {
                let message =
                    format!("There already exists an option ['{key}' -> '{old}'] in the base table");
                return Err(self.conflict(message, LikeFeature::Options, true));
            }
            options.insert(key, value);
        }
        Ok(options)
    }
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
                ).with_code(ErrorCode::AlreadyExists));
            }
            None => {
                let message = format!(
                    "A column named '{}' already exists in the base table",
                    column.name
                );
                return Err(SqlError::at(clause.span, message).with_code(ErrorCode::AlreadyExists));
            }
        }
    }
    Ok(columns)
}
