"""A Ray cluster of several nodes on this machine, told what to do line by line; ends with its standard input.

    node NAME CPUS [TYPE]    another node, whose runs lie in FOLDER/NAME; TYPE: an accelerator type, made up or not
    kill NAME                it is gone at once, with all its processes

Every line is answered by one; the first line that it prints is the cluster's address. A second argument is the port
where it is to speak ray://.
"""

import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

from ray.cluster_utils import Cluster  # noqa: E402

GIB = 2**30


def main() -> None:
    folder, *port = sys.argv[1:]
    head: dict[str, object] = {"num_cpus": 0, "include_dashboard": False, "memory": GIB}
    if port:
        head["ray_client_server_port"] = int(port[0])
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = {}
    say(cluster.address)
    for line in sys.stdin:
        match line.split():
            case ["node", name, cpus, *types]:
                # Nodes on one machine share its devices in truth; each has locks of its own all the same.
                nodes[name] = cluster.add_node(
                    num_cpus=int(cpus),
                    memory=8 * GIB,
                    resources={f"accelerator_type:{kind}": 1 for kind in types},
                    env_vars={
                        "SPEEDRUN_NODE": str(Path(folder) / name),
                        "SPEEDRUN_LOCKS": str(Path(folder) / f"{name}-locks"),
                    },
                )
                say(nodes[name].node_id)
            case ["kill", name]:
                cluster.remove_node(nodes.pop(name), allow_graceful=False)
                say("killed")
            case other:
                say(f"unknown: {other}")
    cluster.shutdown()


def say(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    main()
