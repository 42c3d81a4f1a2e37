# syntax=docker/dockerfile:1
# stylebank as a container, for CPUs; for NVIDIA GPUs: --build-arg TORCH=cu130 and `docker run --gpus all`.
#   docker build -t stylebank .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" stylebank stylize photo.jpg --style munch_the_scream -o out.png
#   docker run --rm -p 8765:8765 -e STYLEBANK_PASSWORD=... stylebank studio --host 0.0.0.0 --port 8765 --no-browser

ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /source
RUN pip install --no-cache-dir "hatchling>=1.27"
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY weights weights
COPY stylebank stylebank
RUN python -m hatchling build -t wheel -d /wheels

FROM python:${PYTHON}-slim
ARG TORCH=cpu
# PyTorch first and alone: the largest layer stays the same while StyleBank changes.
RUN pip install --no-cache-dir "torch>=2.11" "torchvision>=0.26" --index-url "https://download.pytorch.org/whl/${TORCH}"
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir "$(ls /wheels/*.whl)[openvino,hub]"
RUN useradd --create-home --uid 1000 painter && mkdir /work && chown painter /work
USER painter
# Caches and the own bank go where whoever --user names may write; mount a volume there to keep them.
ENV HOME=/tmp XDG_CACHE_HOME=/tmp/cache XDG_DATA_HOME=/tmp/data
WORKDIR /work
ENTRYPOINT ["stylebank"]
CMD ["--help"]
