# docker build -t ems . && docker run --rm -v ems-results:/app/results -v ems-runs:/app/mlflow_runs ems
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PYTHONPATH=/app

WORKDIR /app

# Packages change less often than code: this layer is built again only with requirements.txt.
COPY requirements.txt ./
RUN pip install -r requirements.txt

COPY ems ./ems
COPY scripts ./scripts

# Nobody needs to be root. The folder itself is writable for the database of the synthetic twin.
RUN useradd --create-home --uid 1000 ems \
    && mkdir results mlflow_runs \
    && chown ems:ems . results mlflow_runs
USER ems
VOLUME ["/app/results", "/app/mlflow_runs"]

ENTRYPOINT ["python"]
CMD ["scripts/01_run.py"]
