"""Three examples for every command, shown at the end of its help and in messages about mistakes.

The first one runs as it stands in an empty folder, or says what it lacks.
"""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "train --task pointer_chase",
        "show pointer_chase --hops 3",
        "open runs/example/quick",
    ),
    "gen": (
        "gen reachable --hops 1-4 -o mydata",
        "gen pointer_chase n_nodes=24 --hops 1-6 -n 50000",
        "gen kinship --format chat --hops 2",
    ),
    "verify": (
        "verify mydata",
        "verify runs/data/pointer_chase-hops1-3-seed0",
        "verify mydata --json",
    ),
    "audit": (
        "audit reachable --hops 1-6",
        "audit pointer_chase -n 20000 --details",
        "audit kinship --joint --json",
    ),
    "show": (
        "show pointer_chase --hops 3",
        "show --task kinship --seed 7",
        "show group_word group=A_5 --hops 4",
    ),
    "train": (
        "train --task pointer_chase",
        "train --task pointer_chase --attention nexus,tree --lr 1e-3,3e-3",
        "train staircase refine=q,qk --steps 6000 --seeds 6 -o runs/refine",
    ),
    "reproduce": (
        "reproduce",
        "reproduce hops-alone",
        "reproduce delta-s3 --scale published --device cuda",
    ),
    "init": (
        "init",
        "init mine.yaml --task reachable,kinship --attention nexus,tree",
        "init mine.yaml && nexus-bench train mine.yaml --dry-run",
    ),
    "match": (
        "match --task pointer_chase --attention nexus",
        "match staircase --order 2,3",
        "match quick d_model=128 --json",
    ),
    "list": (
        "list tasks",
        "list attentions nexus",
        "list suites --json",
    ),
    "runs": (
        "runs",
        "runs runs/example",
        "runs --json",
    ),
    "status": (
        "status runs/quick",
        "status runs/quick --watch",
        "status runs/quick --json",
    ),
    "report": (
        "report runs/quick",
        "report runs/quick runs/staircase -o runs/both",
        "report runs/sizes --by n_nodes",
    ),
    "leaderboard": (
        "leaderboard runs/quick runs/staircase",
        "leaderboard runs/example/quick runs/example/matched -o board",
        "leaderboard runs/submissions/mine --check",
    ),
    "open": (
        "open",
        "open runs/quick",
        "open runs/example/staircase",
    ),
    "eval": (
        "eval runs/quick --n-facts 24",
        "eval runs/quick --hops 1-4 --cell 'order 3'",
        "eval runs/quick n_queries=3 -n 5000",
    ),
    "inspect": (
        "inspect runs/quick --cell 'order 3 | seed 0' --hops 3",
        "inspect runs/quick --cell 'order 2 | seed 1' --example 5",
        "inspect runs/quick --cell 'standard | seed 0' -n 5000 -o look",
    ),
    "predictions": (
        "predictions runs/quick",
        "predictions runs/quick --cell 'order 3' --split val",
        "predictions runs/quick --format parquet -o answers",
    ),
    "export": (
        "export kinship --hops 1-4 -o kinship-lm",
        "export --data mydata -o mydata-lm",
        "export reachable -n 200 --files parquet",
    ),
    "score": (
        "score answers.jsonl --data mydata",
        "score answers.jsonl --data mydata --model my-model -o runs/mine",
        "score answers.jsonl --data mydata --split val --json",
    ),
    "lm": (
        "lm runs/pretrain/pythia-14m --tasks kinship-lm",
        "lm ./model --tasks questions.jsonl --shots 3",
        "lm ./model --tasks kinship-lm --limit 100 -o scores.json",
    ),
    "pretrain": (
        "pretrain --text texts/ --tokens 10000000",
        "pretrain --text texts/ --attention nexus --order 2 --task kinship",
        "pretrain --text texts/ --compute-of order=3 -o runs/as-costly",
    ),
    "losses": (
        "losses runs/pretrain",
        "losses runs/pretrain/standard runs/pretrain/nexus",
        "losses runs/pretrain --json",
    ),
    "retrofit": (
        "retrofit ./model --task kinship --hops 1-3",
        "retrofit ./model --data mydata --order 2,3",
        "retrofit ./model --task kinship --method untouched --steps 500",
    ),
    "compare": (
        "compare runs/example/quick runs/quick",
        "compare runs/old runs/new --max-drop 0.05 --junit verdicts.xml",
        "compare runs/old runs/new --metric reach --strict",
    ),
    "check": (
        "check pointer_chase standard",
        "check nexus order=3 refine=q",
        "check my_task my_attention --json",
    ),
    "schema": (
        "schema",
        "schema results.csv",
        "schema train",
    ),
    "gallery": (
        "gallery",
        "gallery -o docs/tasks.md",
        "gallery -o docs/tasks.md --check",
    ),
    "bench": (
        "bench train --order 2",
        "bench attention standard nexus",
        "bench gen reachable",
    ),
    "bench gen": (
        "bench gen",
        "bench gen reachable,kinship --hops 3",
        "bench gen pointer_chase --seconds 5 --json",
    ),
    "bench attention": (
        "bench attention",
        "bench attention standard,nexus --order 2,3 -n 128,512",
        "bench attention nexus refine=q --causal --device cpu",
    ),
    "bench train": (
        "bench train --order 2",
        "bench train --order 1,2,3 --batch 32 --device cpu",
        "bench train --stack 64 --json",
    ),
    "new": (
        "new task my_task",
        "new attention my_attention",
        "new task my_task -o packages/my_task",
    ),
    "new task": (
        "new task my_task",
        "new task my_task --sequence",
        "new task my_task -o packages/my_task",
    ),
    "new attention": (
        "new attention my_attention",
        "new attention my_attention -o packages/my_attention",
        "new attention my_attention --json",
    ),
}
