//! Rows that came too late for an operator.

use millstream_dataflow::{Context, DataflowError, LATE_ROWS, LateBatch, Operator, OperatorFactory};
use millstream_formats::{Encoded, Encoder};
use millstream_types::{ErrorKind, Options, RowKind, Schema};

use super::{Collector, Describe, Messages};

const HEADER_OPERATOR: &str = "__millstream.late.operator";
const HEADER_UID: &str = "__millstream.late.uid";
const HEADER_WATERMARK: &str = "__millstream.late.watermark";
/// Only of operators with several inputs.
const HEADER_INPUT: &str = "__millstream.late.input";
/// Only of rows that change others.
const HEADER_KIND: &str = "__millstream.late.kind";

/// Makes the operators that turn late rows into messages.
pub struct LateRowCollector {
    operator: String,
    uid: String,
    inputs: Vec<Schema>,
}

impl LateRowCollector {
    /// Of an operator with these inputs. Fails if rows of them cannot be written as JSON.
    pub fn new(operator: &str, uid: &str, inputs: Vec<Schema>) -> Result<Self, DataflowError> {
        let collector = Self {
            operator: operator.to_owned(),
            uid: uid.to_owned(),
            inputs,
        };
        collector.encoders()?;
        Ok(collector)
    }

    fn encoders(&self) -> Result<Vec<Box<dyn Encoder>>, DataflowError> {
        let encoder = |schema: &Schema| {
            millstream_formats::encoder("json", &Options::default(), schema).map_err(|error| {
                let message = format!(
                    "late rows of operator '{}' cannot be written to the topic of 'millstream.late-rows.topic': {error}",
                    self.operator
                );
                DataflowError::new(ErrorKind::Input, message)
            })
        };
        self.inputs.iter().map(encoder).collect()
    }
}

impl OperatorFactory for LateRowCollector {
    fn create(&self, _: &Context) -> Result<Box<dyn Operator>, DataflowError> {
        Ok(Box::new(Collector(LateRows {
            operator: self.operator.clone(),
            uid: self.uid.clone(),
            encoders: self.encoders()?,
        })))
    }
}

struct LateRows {
    operator: String,
    uid: String,
    /// By input.
    encoders: Vec<Box<dyn Encoder>>,
}

impl Describe for LateRows {
    type Row = LateBatch;
    const OUTPUT: u32 = LATE_ROWS;

    fn describe(&mut self, late: &LateBatch, messages: &mut Messages) -> Result<(), DataflowError> {
        let several = self.encoders.len() > 1;
        let encoder = self.encoders.get_mut(late.port).ok_or_else(|| {
            DataflowError::internal(format!("late rows of input {}, which is unknown", late.port))
        })?;
        let mut encoded = Encoded::default();
        encoder
            .encode(&late.rows, &mut encoded)
            .map_err(|e| DataflowError::data(format!("a late row cannot be written as JSON: {e}")))?;
        for (row, value) in encoded.messages().enumerate() {
            messages.begin(None, value, None);
            messages.header(HEADER_OPERATOR, self.operator.as_bytes());
            messages.header(HEADER_UID, self.uid.as_bytes());
            messages.header(HEADER_WATERMARK, late.watermark.0.to_string().as_bytes());
            if several {
                messages.header(HEADER_INPUT, late.port.to_string().as_bytes());
            }
            let kind = late.rows.kind(row);
            if kind != RowKind::Insert {
                messages.header(HEADER_KIND, kind.symbol().as_bytes());
            }
        }
        Ok(())
    }
}
