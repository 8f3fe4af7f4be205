# One environment for everybody, so that times can be compared: Python, torch and everything below it by version.
#
# Not built yet by us: where this was written there is no container service. Its commands are README's own, and
# constraints.txt is what the tests run with; torch comes with the CUDA libraries that its own release names.
#
#   docker build --tag speedrun .
#   docker run --rm --gpus all --shm-size 8g \
#       --volume "$PWD/data/cache:/speedrun/data/cache" \
#       --volume "$PWD/speedrun/submissions:/speedrun/speedrun/submissions" \
#       --volume "$PWD/leaderboard/results:/speedrun/leaderboard/results" \
#       speedrun run me --track t4-5min
#
# Root in a stock container gets the sandbox level `uid`. The tracks with several ranks need `namespaces`, for which the
# container must be allowed to make them: --cap-add SYS_ADMIN --security-opt seccomp=unconfined
# --security-opt apparmor=unconfined. `docker run --rm speedrun doctor` says which level works.

FROM python:3.11.9-slim-bookworm

# bubblewrap for the sandbox, a compiler for torch.compile. Records made inside name no git commit: .git stays outside.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap gcc g++ make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /speedrun
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY speedrun speedrun
COPY harness harness
COPY leaderboard leaderboard
COPY data data
COPY template template
RUN pip install --no-cache-dir --constraint constraints.txt --editable .

ENTRYPOINT ["speedrun"]
CMD ["doctor"]
