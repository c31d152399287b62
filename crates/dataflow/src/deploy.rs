//! From a graph to workers: chains are fused, channels made, instances created and restored.
//!
//! The first half ([`deploy`]) runs where the job is started and only lays out who talks to whom. The second
//! ([`WorkerPlan::build`]) runs in the worker's first turn: it asks the factories for instances, gives them their
//! state and opens them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;

use millstream_state::Spill;
use millstream_types::{Clock, Watermark};

use crate::chain::{OperatorStage, SinkStage, Stage};
use crate::control::{Command, EventSink, RestoredState, WorkerEvent};
use crate::exchange::{ChannelReceiver, ChannelSender, ExchangeWriter, channel};
use crate::factory::{OperatorFactory, SinkFactory, SourceFactory};
use crate::gate::InputGate;
use crate::graph::{Graph, GraphSettings, VertexKind};
use crate::memory;
use crate::metrics::{JobMetrics, LoadMetrics, LoadState, OperatorMetrics};
use crate::operator::{Context, DataflowError};
use crate::source::{SourceStatus, Waker};
use crate::task::{Head, SourceHead, Task};
use crate::worker::Worker;

/// One operator instance to be made.
struct Instance {
    metrics: Arc<OperatorMetrics>,
    parallelism: usize,
}

enum StagePlan {
    Operator {
        factory: Arc<dyn OperatorFactory>,
        instance: Instance,
        next: Vec<StagePlan>,
    },
    Sink {
        factory: Arc<dyn SinkFactory>,
        instance: Instance,
    },
    Exchange(ExchangeWriter),
}

enum HeadPlan {
    Source {
        factory: Arc<dyn SourceFactory>,
        instance: Instance,
    },
    /// The channels of each port.
    Gate(Vec<Vec<ChannelReceiver>>),
}

struct TaskPlan {
    head: HeadPlan,
    stages: Vec<StagePlan>,
    load: Arc<LoadMetrics>,
}

/// The part of a graph that one worker runs.
pub struct WorkerPlan {
    index: usize,
    tasks: Vec<TaskPlan>,
    settings: GraphSettings,
    waker: Waker,
}

/// What a worker receives from its driver.
pub struct WorkerParts {
    pub commands: Receiver<Command>,
    pub events: EventSink,
    pub clock: Arc<dyn Clock>,
    pub restore: Option<Arc<RestoredState>>,
}

/// Cuts a graph into a plan for each worker; `wakers` has one for each of [`Graph::workers`].
pub fn deploy(graph: &Graph, wakers: &[Waker]) -> Result<(Vec<WorkerPlan>, JobMetrics), DataflowError> {
    graph.check()?;
    let mut layout = Layout::new(graph, wakers);
    let mut plans = Vec::with_capacity(wakers.len());
    for (index, waker) in wakers.iter().enumerate() {
        let mut tasks = Vec::new();
        for vertex in 0..graph.vertices.len() {
            if index < graph.vertices[vertex].parallelism && !layout.is_fused_into_another(vertex) {
                tasks.push(layout.task(vertex, index));
            }
        }
        plans.push(WorkerPlan {
            index,
            tasks,
            settings: graph.settings.clone(),
            waker: waker.clone(),
        });
    }
    layout.metrics.operators.sort_by_key(|m| (m.vertex, m.subtask));
    Ok((plans, layout.metrics))
}

struct Layout<'a> {
    graph: &'a Graph,
    /// By edge and sending instance.
    senders: BTreeMap<(usize, usize), Vec<ChannelSender>>,
    /// By edge and receiving instance.
    receivers: BTreeMap<(usize, usize), Vec<ChannelReceiver>>,
    metrics: JobMetrics,
}

impl<'a> Layout<'a> {
    fn new(graph: &'a Graph, wakers: &[Waker]) -> Self {
        let mut layout = Self {
            graph,
            senders: BTreeMap::new(),
            receivers: BTreeMap::new(),
            metrics: JobMetrics::default(),
        };
        for (index, edge) in graph.edges.iter().enumerate() {
            if graph.is_fused(edge) {
                continue;
            }
            let is_forward = graph.effective_partitioning(edge) == crate::exchange::Partitioning::Forward;
            let (from, to) = (
                graph.vertices[edge.from].parallelism,
                graph.vertices[edge.to].parallelism,
            );
            for sender in 0..from {
                let targets = if is_forward { sender..sender + 1 } else { 0..to };
                for receiver in targets {
                    let (send, receive) = channel(
                        graph.settings.credit_bytes,
                        wakers[sender].clone(),
                        wakers[receiver].clone(),
                    );
                    layout.senders.entry((index, sender)).or_default().push(send);
                    layout
                        .receivers
                        .entry((index, receiver))
                        .or_default()
                        .push(receive);
                }
            }
        }
        layout
    }

    fn is_fused_into_another(&self, vertex: usize) -> bool {
        self.graph.inputs(vertex).any(|edge| self.graph.is_fused(edge))
    }

    fn task(&mut self, vertex: usize, subtask: usize) -> TaskPlan {
        let load = Arc::new(LoadMetrics::default());
        match &self.graph.vertices[vertex].kind {
            VertexKind::Source(factory) => {
                let instance = self.instance(vertex, subtask, &load);
                let stages = self.outputs(vertex, subtask, &load);
                TaskPlan {
                    head: HeadPlan::Source {
                        factory: Arc::clone(factory),
                        instance,
                    },
                    stages,
                    load,
                }
            }
            VertexKind::Operator(_) | VertexKind::Sink(_) => {
                let head = HeadPlan::Gate(self.ports(vertex, subtask));
                let stages = vec![self.stage(vertex, subtask, &load)];
                TaskPlan { head, stages, load }
            }
        }
    }

    fn instance(&mut self, vertex: usize, subtask: usize, load: &Arc<LoadMetrics>) -> Instance {
        let described = &self.graph.vertices[vertex];
        let (uid, name) = (Arc::clone(&described.uid), Arc::clone(&described.name));
        let metrics = Arc::new(OperatorMetrics::new(vertex, uid, name, subtask, Arc::clone(load)));
        self.metrics.operators.push(Arc::clone(&metrics));
        Instance {
            metrics,
            parallelism: described.parallelism,
        }
    }

    fn stage(&mut self, vertex: usize, subtask: usize, load: &Arc<LoadMetrics>) -> StagePlan {
        let instance = self.instance(vertex, subtask, load);
        match &self.graph.vertices[vertex].kind {
            VertexKind::Sink(factory) => StagePlan::Sink {
                factory: Arc::clone(factory),
                instance,
            },
            VertexKind::Operator(factory) => {
                let factory = Arc::clone(factory);
                StagePlan::Operator {
                    factory,
                    instance,
                    next: self.outputs(vertex, subtask, load),
                }
            }
            // Sources have no inputs (checked), so no chain leads here.
            VertexKind::Source(_) => unreachable_source(),
        }
    }

    fn outputs(&mut self, vertex: usize, subtask: usize, load: &Arc<LoadMetrics>) -> Vec<StagePlan> {
        let mut stages = Vec::new();
        for (index, edge) in self
            .graph
            .edges
            .iter()
            .enumerate()
            .filter(|(_, edge)| edge.from == vertex)
        {
            if self.graph.is_fused(edge) {
                stages.push(self.stage(edge.to, subtask, load));
                continue;
            }
            let partitioning = self.graph.effective_partitioning(edge);
            let targets = self.senders.remove(&(index, subtask)).unwrap_or_default();
            let max_parallelism = self.graph.settings.max_parallelism;
            stages.push(StagePlan::Exchange(ExchangeWriter::new(
                partitioning,
                targets,
                subtask,
                max_parallelism,
            )));
        }
        stages
    }

    fn ports(&mut self, vertex: usize, subtask: usize) -> Vec<Vec<ChannelReceiver>> {
        let mut ports: Vec<Vec<ChannelReceiver>> = Vec::new();
        for (index, edge) in self
            .graph
            .edges
            .iter()
            .enumerate()
            .filter(|(_, edge)| edge.to == vertex)
        {
            if edge.port >= ports.len() {
                ports.resize_with(edge.port + 1, Vec::new);
            }
            ports[edge.port].extend(self.receivers.remove(&(index, subtask)).unwrap_or_default());
        }
        ports
    }
}

/// A stage without output, for a graph that [`Graph::check`] should have rejected.
fn unreachable_source() -> StagePlan {
    debug_assert!(false, "a source inside of a chain");
    StagePlan::Exchange(ExchangeWriter::new(
        crate::exchange::Partitioning::Broadcast,
        Vec::new(),
        0,
        1,
    ))
}

impl WorkerPlan {
    /// Creates, restores and opens all instances. Must be called in the worker's first turn.
    pub fn build(self, parts: WorkerParts) -> Result<Worker, DataflowError> {
        let memory_bytes = self.settings.memory_bytes;
        let spill = memory::spill(&self.settings, self.index);
        let can_spill = spill.is_some();
        let builder = Builder {
            spill,
            settings: self.settings,
            waker: self.waker,
            restore: parts.restore,
            now_ms: parts.clock.now_ms(),
        };
        let tasks: Vec<Task> = self
            .tasks
            .into_iter()
            .map(|task| builder.task(task))
            .collect::<Result<_, _>>()?;
        parts.events.send(WorkerEvent::Running { worker: self.index });
        let mut worker = Worker::new(self.index, tasks, parts.commands, parts.events, parts.clock);
        worker.limit_memory(memory_bytes, can_spill);
        Ok(worker)
    }

    pub fn index(&self) -> usize {
        self.index
    }
}

struct Builder {
    spill: Option<Spill>,
    settings: GraphSettings,
    waker: Waker,
    restore: Option<Arc<RestoredState>>,
    now_ms: i64,
}

impl Builder {
    fn task(&self, plan: TaskPlan) -> Result<Task, DataflowError> {
        // Creates the end of a chain first, so that a source can emit while it opens.
        let stages = plan
            .stages
            .into_iter()
            .map(|stage| self.stage(stage))
            .collect::<Result<_, _>>()?;
        let head = match plan.head {
            HeadPlan::Gate(ports) => Head::Gate(InputGate::new(ports, self.settings.batch_rows)),
            HeadPlan::Source { factory, instance } => Head::Source(self.source(factory.as_ref(), instance)?),
        };
        Ok(Task {
            head,
            stages,
            load: plan.load,
            state: LoadState::Idle,
            finished: false,
            last_snapshot: None,
        })
    }

    fn context(&self, instance: &Instance) -> Context {
        Context {
            now_ms: self.now_ms,
            subtask: instance.metrics.subtask,
            parallelism: instance.parallelism,
            max_parallelism: self.settings.max_parallelism,
            batch_rows: self.settings.batch_rows,
            is_branch: self.restore.as_ref().is_some_and(|restore| restore.is_branch),
            keeps_late_rows: self.settings.keeps_late_rows,
            spill: self.spill.clone(),
            watermark: Watermark::MIN,
        }
    }

    /// The state of an instance, or that of all instances of its operator.
    fn restore_of(&self, instance: &Instance, all: bool) -> Option<crate::control::InstanceRestore> {
        let restore = self.restore.as_ref()?;
        restore.for_instance(
            &instance.metrics.uid,
            instance.metrics.subtask,
            instance.parallelism,
            all,
        )
    }

    fn source(&self, factory: &dyn SourceFactory, instance: Instance) -> Result<SourceHead, DataflowError> {
        let context = self.context(&instance);
        let mut source = factory.create(&context)?;
        if let Some(restore) = self.restore_of(&instance, false) {
            source.restore(restore.blocks, &context)?;
        }
        let woken = Arc::new(AtomicBool::new(false));
        let (flag, worker) = (Arc::clone(&woken), self.waker.clone());
        let wake = move || {
            flag.store(true, std::sync::atomic::Ordering::SeqCst);
            worker.wake();
        };
        source.open(&context, Waker::new(wake))?;
        Ok(SourceHead {
            source,
            context,
            metrics: instance.metrics,
            status: SourceStatus::Ready,
            woken,
            idle: false,
            stopped: false,
        })
    }

    fn stage(&self, plan: StagePlan) -> Result<Stage, DataflowError> {
        match plan {
            StagePlan::Exchange(writer) => Ok(Stage::Exchange(writer)),
            StagePlan::Operator {
                factory,
                instance,
                next,
            } => {
                let next = next
                    .into_iter()
                    .map(|stage| self.stage(stage))
                    .collect::<Result<_, _>>()?;
                self.operator(factory.as_ref(), instance, next)
            }
            StagePlan::Sink { factory, instance } => self.sink(factory.as_ref(), instance),
        }
    }

    fn operator(
        &self,
        factory: &dyn OperatorFactory,
        instance: Instance,
        next: Vec<Stage>,
    ) -> Result<Stage, DataflowError> {
        let mut context = self.context(&instance);
        let mut operator = factory.create(&context)?;
        operator.set_waker(self.waker.clone());
        let restore = self.restore_of(&instance, factory.restores_all());
        let (restored, mut finished) = (restore.is_some(), false);
        if let Some(restore) = restore {
            (context.watermark, finished) = (restore.watermark, restore.finished);
            if !finished {
                operator.restore(restore.blocks, &context)?;
            }
        }
        let metrics = instance.metrics;
        Ok(Stage::Operator(OperatorStage {
            reads_batches: operator.reads_batches(),
            operator,
            context,
            metrics,
            next,
            finished,
            restored,
            ended_early: false,
        }))
    }

    fn sink(&self, factory: &dyn SinkFactory, instance: Instance) -> Result<Stage, DataflowError> {
        let context = self.context(&instance);
        let mut sink = factory.create(&context)?;
        let mut committing = VecDeque::new();
        if let Some(restore) = self.restore_of(&instance, false) {
            sink.restore(restore.blocks, &context)?;
            committing.extend(self.restore.as_ref().map(|restore| restore.checkpoint));
        }
        sink.open(&context, self.waker.clone())?;
        let recovering = !committing.is_empty();
        Ok(Stage::Sink(SinkStage {
            sink,
            context,
            metrics: instance.metrics,
            preparing: VecDeque::new(),
            committing,
            recovering,
            is_side: factory.is_side(),
            finished: false,
            flushed: false,
        }))
    }
}
