//! Plans to graphs: parallelism and distributions.

use millstream_dataflow::{Graph, Partitioning};
use millstream_jobs::JobSettings;
use millstream_jobs::translate::translate;
use millstream_plan::{Distribution, Op, Plan};
use millstream_types::{ChangelogMode, Options};

use crate::toy_plan::*;
use crate::toys::CountingSource;

const NUMBERS: CountingSource = CountingSource {
    rows: 10,
    keys: 2,
    bounded: true,
    splits: 2,
};

fn graph(plan: &Plan, parallelism: usize) -> Graph {
    let settings = JobSettings::read(&Options::new(), parallelism).unwrap();
    translate(plan, &ToyComponents::new(NUMBERS), &settings, None).unwrap()
}

type Shape = (Vec<(String, usize)>, Vec<(usize, usize, Partitioning)>);

/// uid and parallelism of every vertex; origin, target and distribution of every edge.
fn shape(graph: &Graph) -> Shape {
    let vertices = graph
        .vertices
        .iter()
        .map(|v| (v.uid.to_string(), v.parallelism))
        .collect();
    let edges = graph
        .edges
        .iter()
        .map(|e| (e.from, e.to, graph.effective_partitioning(e)))
        .collect();
    (vertices, edges)
}

#[test]
fn exchanges_become_distributions() {
    let (vertices, edges) = shape(&graph(&sum_plan(&[], 0, sink("out")), 4));
    let expected = [
        ("TableSourceScan[c.d.numbers]-", 2),
        ("Calc-", 2),
        ("GroupAggregate-", 4),
        ("Sink[c.d.out]-", 4),
    ];
    for ((uid, parallelism), expected) in vertices.iter().zip(expected) {
        assert!(
            uid.starts_with(expected.0) && *parallelism == expected.1,
            "{uid} {parallelism}"
        );
    }
    assert_eq!(vertices.len(), expected.len());
    let hash = Partitioning::Hash(vec![0]);
    assert_eq!(
        edges,
        [
            (0, 1, Partitioning::Forward),
            (1, 2, hash),
            (2, 3, Partitioning::Forward)
        ]
    );
}

#[test]
fn with_one_instance_everything_is_one_chain() {
    let graph = graph(&sum_plan(&[], 0, sink("out")), 1);
    assert!(graph.edges.iter().all(|edge| graph.is_fused(edge)));
}

#[test]
fn a_changelog_is_not_spread_without_its_key() {
    for (mode, expected) in [(ChangelogMode::INSERT_ONLY, 4), (ChangelogMode::ALL, 1)] {
        let mut plan = Plan::new(Options::new());
        let left = plan.add(node(scan("left"), &[], ChangelogMode::INSERT_ONLY));
        let right = plan.add(node(scan("right"), &[], ChangelogMode::INSERT_ONLY));
        let by_key = Op::Exchange {
            distribution: Distribution::Hash(vec![0]),
        };
        let exchange = plan.add(node(by_key, &[right], ChangelogMode::INSERT_ONLY));
        let summed = plan.add(node(sum(0), &[exchange], mode));
        let union = plan.add(node(Op::UnionAll, &[left, summed], mode));
        plan.add(node(sink("out"), &[union], mode));
        let graph = graph(&plan, 4);
        let union = graph
            .vertices
            .iter()
            .find(|v| v.uid.starts_with("Union"))
            .unwrap();
        assert_eq!(union.parallelism, expected, "{mode}");
    }
}

#[test]
fn what_cannot_run_yet_says_so() {
    let mut plan = Plan::new(Options::new());
    plan.add(node(
        Op::Unsupported {
            name: "MATCH_RECOGNIZE".into(),
        },
        &[],
        ChangelogMode::INSERT_ONLY,
    ));
    let settings = JobSettings::read(&Options::new(), 1).unwrap();
    let error = translate(&plan, &ToyComponents::new(NUMBERS), &settings, None)
        .err()
        .unwrap();
    assert_eq!(error.message, "not supported yet: MATCH_RECOGNIZE");
}

/// With fewer writers than readers, an upsert table received the changes of a key out of order.
#[test]
fn fewer_instances_of_a_keyed_sink_get_rows_by_key() {
    let all = ChangelogMode::INSERT_ONLY;
    let mut plan = Plan::new(Options::new());
    let scan = plan.add(node(scan("numbers"), &[], all));
    let mut op = sink("out");
    if let Op::Sink { table, .. } = &mut op {
        table.primary_key = vec![1];
    }
    plan.add(node(op, &[scan], all));
    let components = ToyComponents {
        sink_parallelism: Some(2),
        ..ToyComponents::new(CountingSource {
            rows: 1,
            keys: 1,
            bounded: true,
            splits: 4,
        })
    };
    let settings = JobSettings::read(&Options::new(), 4).unwrap();
    let (vertices, edges) = shape(&translate(&plan, &components, &settings, None).unwrap());
    assert_eq!(vertices[1].1, 2);
    assert_eq!(edges, [(0, 1, Partitioning::Hash(vec![1]))]);
}
