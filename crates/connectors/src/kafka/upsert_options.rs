//! The options that connector `upsert-kafka` interprets differently from connector `kafka`.

use millstream_types::TableDefinition;

use super::options::{Part, Reader, check_prefix, decodes_insertions, key_columns, part};
use crate::table_error::TableError;

/// `sink.buffer-flush.*` of connector `upsert-kafka`: buffers changes so that only the last one per key is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufferFlush {
    pub max_rows: usize,
    pub interval_ms: i64,
}

/// The requirements of connector `upsert-kafka` on its options.
pub(super) fn check_upsert(table: &TableDefinition<'_>, reader: &Reader<'_>) -> Result<(), TableError> {
    if table.primary_key.is_empty() {
        return Err(TableError::NoPrimaryKey);
    }
    for (part, key) in [("key", "key.format"), ("value", "value.format")] {
        let name = reader.text(key).unwrap_or("");
        if !decodes_insertions(name) {
            return Err(TableError::UpsertFormat {
                format: name.to_owned(),
                part,
            });
        }
    }
    Ok(())
}

pub(super) fn buffer_flush(reader: &Reader<'_>) -> Result<Option<BufferFlush>, TableError> {
    let max_rows: usize = reader.number("sink.buffer-flush.max-rows")?.unwrap_or(0);
    let interval_ms = reader.duration_ms("sink.buffer-flush.interval")?.unwrap_or(0);
    match (max_rows, interval_ms) {
        (0, 0) => Ok(None),
        (1.., 1..) => Ok(Some(BufferFlush {
            max_rows,
            interval_ms,
        })),
        _ => Err(TableError::BufferFlush),
    }
}

/// Key and value formats of connector `upsert-kafka`: the key is the primary key.
pub(super) fn upsert_parts(
    table: &TableDefinition<'_>,
    reader: &Reader<'_>,
) -> Result<(Option<Part>, Part), TableError> {
    let (Some(key_format), Some(value_format)) = (reader.text("key.format"), reader.text("value.format"))
    else {
        return Err(TableError::NoUpsertFormats);
    };
    let prefix = reader.text("key.fields-prefix").unwrap_or("");
    let except_key = reader.is("value.fields-include", "EXCEPT_KEY");
    check_prefix(prefix, except_key)?;
    let key_columns = key_columns(table, table.primary_key, prefix)?;
    let in_value = |i: &usize| !(except_key && key_columns.contains(i));
    let value_columns: Vec<usize> = (0..table.physical.len()).filter(in_value).collect();
    let key = part(table, reader, key_format, "key.", &key_columns, prefix)?;
    let value = part(table, reader, value_format, "value.", &value_columns, "")?;
    Ok((Some(key), value))
}

#[cfg(test)]
mod tests {
    use millstream_types::{LogicalType, Options, Schema};

    use super::*;
    use crate::kafka::options::{KafkaTable, Startup};

    fn parse_upsert(pairs: &[(&str, &str)], key: &[&str]) -> Result<KafkaTable, TableError> {
        let base = [
            ("connector", "upsert-kafka"),
            ("topic", "t"),
            ("key.format", "json"),
            ("value.format", "json"),
        ];
        let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        let options: Options = base.iter().chain(pairs).map(pair).collect();
        let physical = Schema::new([("a", LogicalType::INT), ("b", LogicalType::STRING)]);
        let key: Vec<String> = key.iter().map(|k| (*k).to_owned()).collect();
        KafkaTable::parse(&TableDefinition {
            identifier: "t",
            options: &options,
            physical: &physical,
            primary_key: &key,
            partition_keys: &[],
        })
    }

    #[test]
    fn upsert_tables_have_the_primary_key_as_their_key() {
        let flush = [
            ("sink.buffer-flush.max-rows", "5"),
            ("sink.buffer-flush.interval", "1 s"),
            ("value.fields-include", "EXCEPT_KEY"),
        ];
        let table = parse_upsert(&flush, &["b"]).unwrap();
        assert_eq!(table.key.unwrap().columns, [1]);
        assert_eq!(table.value.columns, [0]);
        assert_eq!(table.startup, Startup::Earliest);
        let flush = table.buffer_flush.unwrap();
        assert_eq!((flush.max_rows, flush.interval_ms), (5, 1000));
        type Case = (
            &'static [(&'static str, &'static str)],
            &'static [&'static str],
            &'static str,
        );
        let cases: [Case; 4] = [
            (&[], &[], "PRIMARY KEY"),
            (&[("sink.buffer-flush.max-rows", "5")], &["b"], "together"),
            (&[("value.format", "debezium-json")], &["b"], "debezium-json"),
            (&[("key.fields-prefix", "k_")], &["b"], "value.fields-include"),
        ];
        for (pairs, key, part) in cases {
            let error = parse_upsert(pairs, key).unwrap_err().to_string();
            assert!(error.contains(part), "{pairs:?}: {error}");
        }
    }
}
