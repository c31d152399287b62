//! Merging watermarks of several inputs, by the rules of Flink's status watermark valve.
//!
//! The output is the minimum over the inputs that are active and aligned. An input that goes idle no longer counts; one
//! that becomes active again counts once its watermark has caught up with the output, so that the output never
//! regresses. When the last input goes idle, the highest watermark of all is let through first.

use millstream_types::Watermark;

#[derive(Clone, Copy, Debug)]
struct Input {
    watermark: Watermark,
    active: bool,
    aligned: bool,
}

/// The effect of an event on the output, in this order: active, watermark, idle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ValveOutput {
    pub active: bool,
    pub watermark: Option<Watermark>,
    pub idle: bool,
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub struct WatermarkValve {
    inputs: Vec<Input>,
    output: Watermark,
    active: bool,
}

impl WatermarkValve {
    /// A valve that waits for all inputs.
    pub fn new(inputs: usize) -> Self {
        let input = Input {
            watermark: Watermark::MIN,
            active: true,
            aligned: true,
        };
        Self {
            inputs: vec![input; inputs],
            output: Watermark::MIN,
            active: true,
        }
    }

    pub fn output(&self) -> Watermark {
        self.output
    }

    pub fn watermark(&mut self, input: usize, watermark: Watermark) -> ValveOutput {
        let Some(state) = self
            .inputs
            .get_mut(input)
            .filter(|i| i.active && watermark > i.watermark)
        else {
            return ValveOutput::default();
        };
        state.watermark = watermark;
        state.aligned |= watermark >= self.output;
        ValveOutput {
            watermark: self.advance_to_minimum(),
            ..ValveOutput::default()
        }
    }

    /// The input is idle, or ended without reaching [`Watermark::MAX`].
    pub fn idle(&mut self, input: usize) -> ValveOutput {
        let Some(state) = self.inputs.get_mut(input).filter(|i| i.active) else {
            return ValveOutput::default();
        };
        state.active = false;
        state.aligned = false;
        let held_back = state.watermark <= self.output;
        if self.inputs.iter().any(|i| i.active) {
            return ValveOutput {
                watermark: self.advance_to_minimum(),
                ..ValveOutput::default()
            };
        }
        self.active = false;
        let highest = self.inputs.iter().map(|i| i.watermark).max();
        let watermark = if held_back {
            highest.and_then(|highest| self.advance(highest))
        } else {
            None
        };
        ValveOutput {
            active: false,
            watermark,
            idle: true,
        }
    }

    pub fn active(&mut self, input: usize) -> ValveOutput {
        let Some(state) = self.inputs.get_mut(input).filter(|i| !i.active) else {
            return ValveOutput::default();
        };
        state.active = true;
        state.aligned = state.watermark >= self.output;
        let active = !std::mem::replace(&mut self.active, true);
        ValveOutput {
            active,
            ..ValveOutput::default()
        }
    }

    /// Whether an input has sent its last watermark.
    pub fn is_at_end(&self, input: usize) -> bool {
        self.inputs
            .get(input)
            .is_some_and(|i| i.watermark == Watermark::MAX)
    }

    fn advance_to_minimum(&mut self) -> Option<Watermark> {
        let minimum = self
            .inputs
            .iter()
            .filter(|i| i.active && i.aligned)
            .map(|i| i.watermark)
            .min()?;
        self.advance(minimum)
    }

    fn advance(&mut self, to: Watermark) -> Option<Watermark> {
        (to > self.output).then(|| {
            self.output = to;
            to
        })
    }
}
