"""What is shipped to run the bridge with: it cannot all be started here, so it is read and held against the rest."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from bridge.cli.main import app
from bridge.config.load import load
from bridge.core.model import State
from bridge.sandbox import address
from tests.service.happenings import everything

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUSE = Path(__file__).parents[2]
DEPLOY = HOUSE / "deploy"
OPERATIONS = (HOUSE / "docs" / "operations.md").read_text()
PROMETHEUS_OWN = {"up": {"job", "instance"}}
GRAFANA_OWN = {"job", "instance"}  # labels that scraping adds


def documents(path: Path) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(path.read_text()))


def series() -> dict[str, set[str]]:
    """Return what a real app shows: name -> labels."""
    found: dict[str, set[str]] = {name: set(labels) for name, labels in PROMETHEUS_OWN.items()}
    for name, labels in everything().samples():
        found.setdefault(name, set()).update(label for label, _ in labels)
    return found


KNOWN = series()
RULES = {rule["alert"]: rule for group in documents(DEPLOY / "alerts.yml")[0]["groups"] for rule in group["rules"]}
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())


def targets() -> list[dict[str, Any]]:
    return [target for panel in DASHBOARD["panels"] for target in panel["targets"]]


EXPRESSIONS = [rule["expr"] for rule in RULES.values()] + [target["expr"] for target in targets()]

# promql, as far as these files use it

_STRING = re.compile(r'"[^"]*"')
_SELECTOR = re.compile(r"([a-z_]+)(?:\{([^}]*)\})?(?:\[([^\]]+)\])?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_BY = re.compile(r"\bby \(([^)]*)\)")
_WORDS = {"by", "or", "and", "on", "unless"}
_FUNCTIONS = {
    *("sum", "max", "min", "rate", "increase", "time", "absent", "histogram_quantile"),
}


def selectors(expression: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Return the names that are no functions, each with what its labels must be."""
    bare = _BY.sub(" ", expression)
    for found in _SELECTOR.finditer(bare):
        name, matchers = found[1], dict(_MATCHER.findall(found[2] or ""))
        inside_string = any(at.start() < found.start() < at.end() for at in _STRING.finditer(bare))
        if not inside_string and name not in _WORDS | _FUNCTIONS:
            yield name, matchers


def wrong_in(expression: str) -> list[str]:
    """Say what an expression asks for that nobody tells."""
    if expression.count("(") != expression.count(")") or expression.count("{") != expression.count("}"):
        return ["brackets"]
    named = list(selectors(expression))
    grouped = {label.strip() for labels in _BY.findall(expression) for label in labels.split(",")}
    here = GRAFANA_OWN.union(*(KNOWN.get(name, set()) for name, _ in named))
    return [
        *(name for name, _ in named if name not in KNOWN),
        *(f"{name}{{{label}}}" for name, matchers in named for label in matchers.keys() - KNOWN.get(name, set())),
        *(f"by ({label})" for label in grouped - here),
        *([] if named else ["nothing"]),
    ]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_series_and_label_that_a_rule_or_panel_asks_for_is_told(expression: str) -> None:
    assert wrong_in(expression) == []


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("bridge_modles > 0", ["bridge_modles"]),
        ('bridge_models{stat="FAILED"} > 0', ["bridge_models{stat}"]),
        ("sum by (mappings) (bridge_models)", ["by (mappings)"]),
        ("rate(bridge_alias_lag_seconds[5m])", ["bridge_alias_lag_seconds"]),
        ("sum(bridge_models", ["brackets"]),
        ("time() - 3", ["nothing"]),
    ],
)
def test_one_that_nobody_tells_is_found(expression: str, wrong: list[str]) -> None:
    assert wrong_in(expression) == wrong


def test_state_words_that_are_asked_for_are_states() -> None:
    asked = [matchers["state"] for each in EXPRESSIONS for _, matchers in selectors(each) if "state" in matchers]
    assert asked
    assert {word for words in asked for word in words.split("|")} <= {state.value for state in State}


def test_legends_and_summaries_name_labels_that_are_there() -> None:
    labels = set().union(*KNOWN.values()) | GRAFANA_OWN
    texts = [target["legendFormat"] for target in targets()]
    texts += [rule["annotations"]["summary"] for rule in RULES.values()]
    named = {each for text in texts for each in re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", text)}
    assert named <= labels


def test_there_are_six_rules_and_each_has_its_place_in_the_operators_manual() -> None:
    assert len(RULES) == 6
    for name, rule in RULES.items():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
        assert f"### {name}\n" in OPERATIONS
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert re.fullmatch(r"\d+m", rule["for"])


def test_every_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    asked = {name for expression in EXPRESSIONS for name, _ in selectors(expression)}
    ours = {name.removesuffix("_sum").removesuffix("_count") for name in KNOWN if not name.endswith("_created")}
    unasked = {name for name in ours if name not in asked and f"{name}_bucket" not in asked}
    assert unasked == {
        *("bridge_build_info", "bridge_process_max_fds", "bridge_process_open_fds"),
        *("bridge_process_start_time_seconds", "bridge_process_virtual_memory_bytes"),
    }


def test_panels_have_places_of_their_own() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


# the image

DOCKERFILE = (HOUSE / "Dockerfile").read_text()
COMMANDS = {command.callback.__name__ for command in app.registered_commands if command.callback} | {
    group.name for group in app.registered_groups
}


def said(instruction: str) -> list[str]:
    whole = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{instruction} (.*)$", whole, re.MULTILINE)


def test_the_image_is_made_of_files_that_are_here_and_runs_a_command_that_is_there() -> None:
    allowed = {line.removeprefix("!") for line in (HOUSE / ".dockerignore").read_text().split() if line.startswith("!")}
    copied = {name for line in said("COPY") if "--from" not in line for name in line.split()[:-1]}
    assert copied == allowed
    assert all((HOUSE / name).exists() for name in copied)
    assert (json.loads(said("ENTRYPOINT")[0]), json.loads(said("CMD")[0])) == (["bridge"], ["run"])
    assert "run" in COMMANDS
    health = said("HEALTHCHECK")[0].partition("CMD ")[2]
    compile(json.loads(health)[2], "HEALTHCHECK", "exec")


def test_the_image_is_built_in_two_stages_runs_as_nobody_special_and_takes_versions_from_the_lock() -> None:
    assert len(said("FROM")) == 2
    stages = DOCKERFILE.split("\nFROM ")
    assert "USER 10001:10001" in stages[-1]
    assert "pip" not in stages[-1]
    lock = (HOUSE / "requirements.lock").read_text()
    uv = re.search(r"^uv==(\S+)", lock, re.MULTILINE)
    assert uv is not None
    assert f"/uv:{uv[1]} " in DOCKERFILE, "the builder is the one of the lock"
    assert "--constraints requirements.lock" in DOCKERFILE


# docker-compose.yml

COMPOSE = documents(HOUSE / "docker-compose.yml")[0]
SERVICES: dict[str, Any] = COMPOSE["services"]


def test_the_services_are_those_of_a_whole_world() -> None:
    assert set(SERVICES) == {"sandbox", "mlflow", "postgres", "bridge", "prometheus"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_refers_to_files_volumes_and_services_that_are_there(name: str) -> None:
    service = SERVICES[name]
    assert "image" in service
    for volume in service.get("volumes", []):
        place = volume.split(":")[0]
        assert (HOUSE / place).exists() if place.startswith(".") else place in COMPOSE["volumes"]
    others = service.get("depends_on", [])
    assert set(others) <= set(SERVICES)
    if isinstance(others, dict):
        for other, how in others.items():
            assert how["condition"] == "service_healthy"
            assert "healthcheck" in SERVICES[other]
    if "network_mode" in service:
        assert service["network_mode"] == "service:sandbox"
        assert "ports" not in service, "the one whose network it is publishes them"


def test_what_compose_runs_of_ours_is_there() -> None:
    command = SERVICES["sandbox"]["command"]
    assert command[0] in COMMANDS
    helped = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-m", "bridge", command[0], "--help"], capture_output=True, text=True, check=True
    )
    for option in command[1:]:
        assert not option.startswith("--") or option in helped.stdout


def test_compose_speaks_to_the_addresses_of_the_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "compose" / "bridge.yaml", tmp_path)
    shutil.copytree(HOUSE / "mappings", tmp_path / "mappings")
    config = load(tmp_path / "bridge.yaml")
    environment = SERVICES["bridge"]["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    sandbox = address.environment()

    text = (tmp_path / "bridge.yaml").read_text()
    for name in ("WANDB_BASE_URL", "MLFLOW_TRACKING_URI", "STORAGE_EMULATOR_HOST", "BRIDGE_SANDBOX_VERTEX_GRPC"):
        assert sandbox[name] in text
    assert f"--port={sandbox['MLFLOW_TRACKING_URI'].rpartition(':')[2]}" in SERVICES["mlflow"]["command"]
    assert environment["WANDB_API_KEY"] == sandbox["WANDB_API_KEY"]
    assert set(re.findall(r"env: (\w+)", text)) == set(environment)
    assert config.secret_key is not None
    assert len(config.secret_key.read()) >= 32


def test_prometheus_has_the_rules_and_asks_the_bridge_where_it_listens() -> None:
    prometheus = documents(DEPLOY / "compose" / "prometheus.yml")[0]
    mounted = {volume.split(":")[1] for volume in SERVICES["prometheus"]["volumes"]}
    assert {f"/etc/prometheus/{name}" for name in prometheus["rule_files"]} <= mounted
    scraped = {each["job_name"]: each["static_configs"][0]["targets"] for each in prometheus["scrape_configs"]}
    assert scraped == {"bridge": ["127.0.0.1:8470"]}


# systemd

UNIT = (DEPLOY / "bridge.service").read_text()


def test_the_unit_is_one_that_systemd_takes_and_gives_few_rights(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / "bridge.service"
    unit.write_text(UNIT.replace("/opt/bridge/bin/bridge", sys.executable))
    verified = subprocess.run(  # noqa: S603  systemd's own, of this machine
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    judged = subprocess.run(  # noqa: S603  the same
        [analyze, "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout


def test_the_unit_runs_a_command_that_is_there_and_leaves_it_time_to_stop() -> None:
    values = dict(line.split("=", 1) for line in UNIT.splitlines() if "=" in line and not line.startswith("#"))
    program, command, *options = values["ExecStart"].split()
    assert program.endswith("/bridge")
    assert command in COMMANDS
    assert options[0] == "--config"
    assert "HUP" in values["ExecReload"]
    assert int(values["TimeoutStopSec"]) > 30


# Kubernetes

OBJECTS = {each["kind"]: each for each in documents(DEPLOY / "kubernetes.yaml")}
POD = OBJECTS["Deployment"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]


def test_the_objects_of_kubernetes_belong_together() -> None:
    assert list(OBJECTS) == ["ServiceAccount", "ConfigMap", "Deployment", "Service", "PodMonitor"]
    assert {each["metadata"]["namespace"] for each in OBJECTS.values()} == {"bridge"}
    labels = POD["metadata"]["labels"]
    assert OBJECTS["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert OBJECTS["Service"]["spec"]["selector"] == labels
    assert OBJECTS["PodMonitor"]["spec"]["selector"]["matchLabels"] == labels
    ports = {port["name"] for port in CONTAINER["ports"]}
    assert OBJECTS["Service"]["spec"]["ports"][0]["targetPort"] in ports
    assert OBJECTS["PodMonitor"]["spec"]["podMetricsEndpoints"][0]["port"] in ports
    assert POD["spec"]["serviceAccountName"] == OBJECTS["ServiceAccount"]["metadata"]["name"]
    volumes = {volume["name"] for volume in POD["spec"]["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == volumes


def test_the_pod_has_no_rights_that_it_does_not_need_and_is_asked_how_it_is() -> None:
    assert POD["spec"]["securityContext"]["runAsNonRoot"] is True
    assert POD["spec"]["securityContext"]["runAsUser"] == 10001
    rights = CONTAINER["securityContext"]
    assert (rights["allowPrivilegeEscalation"], rights["readOnlyRootFilesystem"]) == (False, True)
    assert rights["capabilities"] == {"drop": ["ALL"]}
    asked = {name: CONTAINER[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert asked == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    assert CONTAINER["args"][0] in COMMANDS
    assert POD["spec"]["terminationGracePeriodSeconds"] > 30


def test_the_configuration_of_the_pod_is_valid(tmp_path: Path) -> None:
    data = OBJECTS["ConfigMap"]["data"]
    items = next(volume["configMap"]["items"] for volume in POD["spec"]["volumes"] if "configMap" in volume)
    assert {item["key"] for item in items} == set(data)
    for item in items:
        path = tmp_path / item["path"]
        path.parent.mkdir(exist_ok=True)
        # Beyond loopback it listens only with a token, which is no matter of this file.
        path.write_text(data[item["key"]].replace("0.0.0.0", "127.0.0.1"))  # noqa: S104  taken out, not in
    config = load(tmp_path / "bridge.yaml")

    assert [spec.name for spec in config.mappings] == ["fraud"]
    assert config.service.port == CONTAINER["ports"][0]["containerPort"]


# the manual


def test_the_manual_names_no_series_that_is_not_there() -> None:
    named = set(re.findall(r"`(bridge_\w+)", OPERATIONS))
    assert named
    assert {name for name in named if name not in KNOWN and f"{name}_bucket" not in KNOWN} == set()


def test_the_manual_names_files_that_are_there() -> None:
    named = re.findall(r"\]\(([\w./-]+)\)", OPERATIONS)
    assert named
    assert [name for name in named if not (HOUSE / "docs" / name).exists()] == []
