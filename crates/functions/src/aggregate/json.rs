//! JSON_OBJECTAGG and JSON_ARRAYAGG.
//!
//! Values become JSON text with the kernel of JSON_STRING when they come in; what is kept and joined is text.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringViewArray, new_null_array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType;
use jiff::tz::TimeZone;
use millstream_types::{LogicalType, SeededRng, TypeKind, map_array};

use super::array_agg::leaves_nulls_out;
use super::ordered_bytes::java_string_order;
use super::rows::{arg, defect};
use super::signatures::{check_count, refuse};
use super::value_list::ValueLists;
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::registry::scalar_function;
use crate::scalar::{CallCache, Datum, Environment, EvalError, KernelArgs};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[
    AggregateFunction {
        name: "JSON_OBJECTAGG",
        aliases: &[],
        syntax: "JSON_OBJECTAGG([KEY] key VALUE value [NULL ON NULL | ABSENT ON NULL])",
        doc: "A JSON object with a member for each row, ordered by key. A key that comes twice is an error. Members with \
              a NULL value are null, or left out with ABSENT ON NULL.",
        window_only: false,
        constant_args: &[],
        signature: object_signature,
        accumulator: object_accumulator,
    },
    AggregateFunction {
        name: "JSON_ARRAYAGG",
        aliases: &[],
        syntax: "JSON_ARRAYAGG(value [NULL ON NULL | ABSENT ON NULL])",
        doc: "A JSON array of the values in order of arrival. NULL values are left out, or null with NULL ON NULL.",
        window_only: false,
        constant_args: &[],
        signature: array_signature,
        accumulator: array_accumulator,
    },
];

/// The type that Calcite gives to the aggregates of JSON; longer texts are not cut.
const JSON_TEXT: LogicalType = LogicalType::not_null(TypeKind::Varchar(2000));

fn object_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("JSON_OBJECTAGG", args, 2..=2)?;
    if !args[0].ty.is_character() {
        return Err(refuse(
            "JSON_OBJECTAGG",
            args,
            "JSON_OBJECTAGG(<CHARACTER>, <ANY>)",
        ));
    }
    let args = vec![
        LogicalType::STRING.with_nullable(args[0].ty.nullable),
        args[1].ty.clone(),
    ];
    Ok(Signature {
        args,
        result: JSON_TEXT,
    })
}

fn array_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("JSON_ARRAYAGG", args, 1..=1)?;
    Ok(Signature {
        args: vec![args[0].ty.clone()],
        result: JSON_TEXT,
    })
}

fn object_accumulator(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    Box::new(JsonObjectAgg {
        groups: Vec::new(),
        to_json: ToJson::new("JSON_OBJECTAGG", args.arg_types.get(1)),
        absent: leaves_nulls_out(args, false),
    })
}

fn array_accumulator(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    let absent = leaves_nulls_out(args, true);
    Box::new(JsonArrayAgg {
        lists: ValueLists::new("JSON_ARRAYAGG", &LogicalType::STRING, !absent),
        to_json: ToJson::new("JSON_ARRAYAGG", args.arg_types.first()),
    })
}

/// Turns values into JSON text.
struct ToJson {
    function: &'static str,
    ty: LogicalType,
    env: Environment,
    cache: CallCache,
}

impl ToJson {
    fn new(function: &'static str, ty: Option<&LogicalType>) -> Self {
        // The JSON form of a value depends on nothing outside: instants are written in UTC.
        let env = Environment {
            zone: TimeZone::UTC,
            zone_name: "UTC".into(),
            now_ms: 0,
            watermark_ms: None,
            rng: Arc::new(SeededRng::new(0)),
            legacy_cast: false,
            current_database: "".into(),
            streaming: true,
        };
        Self {
            function,
            ty: ty.cloned().unwrap_or(LogicalType::STRING),
            env,
            cache: CallCache::default(),
        }
    }

    /// JSON text, NULL for NULL.
    fn convert(&mut self, values: &ArrayRef) -> Result<StringViewArray, EvalError> {
        if *values.data_type() == DataType::Null {
            return Ok(new_null_array(&DataType::Utf8View, values.len())
                .as_string_view()
                .clone());
        }
        let kernel = scalar_function("JSON_STRING")
            .ok_or_else(|| {
                defect(
                    self.function,
                    "the function JSON_STRING is not part of this build",
                )
            })?
            .kernel;
        let text = kernel(&mut KernelArgs {
            function: "JSON_STRING",
            args: &[Datum::Column(Arc::clone(values))],
            arg_types: std::slice::from_ref(&self.ty),
            result: &LogicalType::STRING,
            rows: values.len(),
            env: &self.env,
            cache: &mut self.cache,
        })?;
        let strings = text.as_string_view_opt().cloned();
        strings.ok_or_else(|| defect(self.function, "JSON_STRING gives strings"))
    }
}

/// Appends `text` as a JSON string.
fn push_json_string(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

struct JsonObjectAgg {
    /// JSON text by key; `None` is null.
    groups: Vec<BTreeMap<Box<str>, Option<Box<str>>>>,
    to_json: ToJson,
    absent: bool,
}

impl JsonObjectAgg {
    fn insert(&mut self, group: usize, key: &str, value: Option<&str>) -> Result<(), EvalError> {
        let members = &mut self.groups[group];
        if members.contains_key(key) {
            return Err(EvalError::Data(format!(
                "key '{key}' is already present, duplicate keys are not allowed in JSON_OBJECTAGG; make the keys unique"
            )));
        }
        if value.is_some() || !self.absent {
            members.insert(key.into(), value.map(Into::into));
        }
        Ok(())
    }
}

impl GroupsAccumulator for JsonObjectAgg {
    fn resize(&mut self, groups: usize) {
        self.groups
            .resize_with(groups.max(self.groups.len()), BTreeMap::new);
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let keys = arg("JSON_OBJECTAGG", args, 0)?;
        let keys = keys
            .as_string_view_opt()
            .ok_or_else(|| defect("JSON_OBJECTAGG", "the keys are not strings"))?;
        let values = self.to_json.convert(arg("JSON_OBJECTAGG", args, 1)?)?;
        for (row, group) in groups.iter().enumerate() {
            if keys.is_null(row) {
                return Err(EvalError::Data("a key of JSON_OBJECTAGG is NULL".to_owned()));
            }
            if retract.is_some_and(|r| r[row]) {
                self.groups[*group as usize].remove(keys.value(row));
            } else {
                let value = values.is_valid(row).then(|| values.value(row));
                self.insert(*group as usize, keys.value(row), value)?;
            }
        }
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        let key = LogicalType::STRING.with_nullable(false);
        vec![LogicalType::not_null(TypeKind::Map(
            Box::new(key),
            Box::new(LogicalType::STRING),
        ))]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let (mut keys, mut values, mut lengths) =
            (StringViewBuilder::new(), StringViewBuilder::new(), Vec::new());
        for group in groups {
            let members = &self.groups[*group as usize];
            lengths.push(members.len());
            for (key, value) in members {
                keys.append_value(key);
                values.append_option(value.as_deref());
            }
        }
        let ty = self.state_types().remove(0);
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(vec![map_array(
            &ty,
            Arc::new(keys.finish()),
            Arc::new(values.finish()),
            offsets,
            None,
        )])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let wrong = || defect("JSON_OBJECTAGG", "the partial result is not a map of strings");
        let map = state.first().and_then(|c| c.as_map_opt()).ok_or_else(wrong)?;
        let keys = map.keys().as_string_view_opt().ok_or_else(wrong)?;
        let values = map.values().as_string_view_opt().ok_or_else(wrong)?;
        let offsets = map.offsets();
        for (row, group) in groups.iter().enumerate() {
            for entry in offsets[row] as usize..offsets[row + 1] as usize {
                let value = values.is_valid(entry).then(|| values.value(entry));
                self.insert(*group as usize, keys.value(entry), value)?;
            }
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let mut builder = StringViewBuilder::with_capacity(groups.len());
        let mut text = String::new();
        for group in groups {
            let mut members: Vec<_> = self.groups[*group as usize].iter().collect();
            members.sort_by(|a, b| java_string_order(a.0, b.0));
            text.clear();
            text.push('{');
            for (i, (key, value)) in members.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                push_json_string(&mut text, key);
                text.push(':');
                text.push_str(value.as_deref().unwrap_or("null"));
            }
            text.push('}');
            builder.append_value(&text);
        }
        Ok(Arc::new(builder.finish()))
    }

    fn clear(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|group| self.groups[*group as usize].clear());
    }

    fn memory_size(&self) -> usize {
        let entry = size_of::<(Box<str>, Option<Box<str>>)>();
        let mut bytes = 0;
        for (key, value) in self.groups.iter().flatten() {
            bytes += key.len() + value.as_ref().map_or(0, |value| value.len()) + entry;
        }
        bytes
    }
}

struct JsonArrayAgg {
    /// JSON text of the values.
    lists: ValueLists,
    to_json: ToJson,
}

impl GroupsAccumulator for JsonArrayAgg {
    fn resize(&mut self, groups: usize) {
        self.lists.resize(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let text: ArrayRef = Arc::new(self.to_json.convert(arg("JSON_ARRAYAGG", args, 0)?)?);
        self.lists.update(groups, &[text], retract)
    }

    fn state_types(&self) -> Vec<LogicalType> {
        self.lists.state_types()
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        self.lists.state(groups)
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        self.lists.merge(groups, state)
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let mut builder = StringViewBuilder::with_capacity(groups.len());
        for group in groups {
            let columns = self.lists.codec().decode(self.lists.values(*group))?;
            let strings = columns.first().and_then(|c| c.as_string_view_opt());
            let items: Vec<&str> = strings
                .map(|s| s.iter().map(|item| item.unwrap_or("null")).collect())
                .unwrap_or_default();
            builder.append_value(format!("[{}]", items.join(",")));
        }
        Ok(Arc::new(builder.finish()))
    }

    fn clear(&mut self, groups: &[u32]) {
        self.lists.clear(groups);
    }

    fn memory_size(&self) -> usize {
        self.lists.memory_size()
    }
}
