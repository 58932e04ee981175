"""What can be checked of the image and the compose file without an engine."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COMPOSE_TEXT = (ROOT / "docker" / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
README = (ROOT / "docker" / "README.md").read_text()
IGNORE = (ROOT / "docker" / "Dockerfile.dockerignore").read_text().split("\n")


def instructions(text: str = DOCKERFILE) -> list[tuple[str, str]]:
    """(instruction, arguments), continued lines joined, comments dropped."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines()]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
    return found


def images() -> list[str]:
    from_lines = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    return from_lines + [service["image"] for service in COMPOSE["services"].values()]


def test_every_instruction_is_one_that_docker_knows():
    known = {
        "ARG",
        "FROM",
        "ENV",
        "RUN",
        "WORKDIR",
        "COPY",
        "LABEL",
        "USER",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    }
    assert {name for name, _ in instructions()} <= known


def test_two_stages_and_the_last_one_only_takes_the_finished_environment():
    build, final = stages()
    assert build[0][1].endswith(" AS build")
    assert [rest for name, rest in final if name == "COPY"] == ["--from=build /opt/modalweave /opt/modalweave"]
    assert not any("pip" in rest or "apt-get" in rest for name, rest in final if name == "RUN")


def test_it_runs_as_a_user_that_is_not_root():
    users = [rest for name, rest in stages()[-1] if name == "USER"]
    assert users and all(int(user.split(":")[0]) >= 10_000 for user in users)
    names = [name for name, _ in stages()[-1]]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert not any(name == "RUN" for name in names[names.index("USER") :])


@pytest.mark.parametrize("image", images())
def test_images_have_tags_and_none_is_latest(image: str):
    tag = image.rsplit(":", 1)[-1] if ":" in image else ""
    assert tag and tag != "latest" and re.search(r"\d", tag.replace("${PYTHON_VERSION}", "3.11"))


def test_copies_come_from_inside_the_context_and_exist():
    for name, rest in stages()[0]:
        if name != "COPY":
            continue
        *sources, _ = rest.split()
        for source in sources:
            assert ".." not in source and not source.startswith("/")
            assert source == "README.md" or (ROOT / source).exists(), source
            assert f"!{source}" in IGNORE, f"{source} is left out by Dockerfile.dockerignore"


def test_the_context_starts_from_nothing():
    rules = [line for line in IGNORE if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert "**/.env*" in rules


def test_every_package_of_the_project_is_copied():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {p.rstrip("*") for p in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    copied = {rest.split()[0] for name, rest in stages()[0] if name == "COPY"}
    assert wanted <= copied


def test_cpu_wheels_are_a_build_argument_of_both_files():
    arguments = dict(rest.split("=", 1) for name, rest in stages()[0] if name == "ARG")
    assert arguments["TORCH_INDEX"].endswith("/cpu")
    assert "TORCH_INDEX" in COMPOSE["services"]["job"]["build"]["args"]


def test_shell_quotes_what_comes_from_outside_and_uses_no_sudo_or_add():
    for name, rest in instructions():
        assert name != "ADD"
        if name == "RUN":
            assert "sudo" not in rest and "curl" not in rest
            assert not re.search(r'(?<!")\$\{TORCH_INDEX\}(?!")', rest)


def test_entry_point_and_health_check_are_in_exec_form_and_ask_the_doctor():
    final = dict(stages()[-1])
    assert final["ENTRYPOINT"].startswith("[") and final["CMD"].startswith("[")
    assert re.search(r'CMD \["modalweave", "doctor"\]$', final["HEALTHCHECK"])


def test_compose_has_no_password_of_its_own():
    for text in (COMPOSE_TEXT, DOCKERFILE):
        for line in text.splitlines():
            if re.search(r"(?i)(password|secret|token|api_key)\w*\s*[:=]", line) and "${NEO4J_AUTH#" not in line:
                assert "${NEO4J_PASSWORD:?" in line, line
    assert COMPOSE["services"]["neo4j"]["environment"]["NEO4J_AUTH"].startswith("neo4j/${NEO4J_PASSWORD:?")


def test_the_server_gets_no_variable_that_its_image_would_read_as_a_setting():
    names = set(COMPOSE["services"]["neo4j"]["environment"])
    assert not names & {"NEO4J_PASSWORD", "NEO4J_USERNAME", "NEO4J_URI"}
    settings = names - {"NEO4J_AUTH"}
    assert all(re.fullmatch(r"NEO4J_(server|dbms|db)_[a-z_]+", name) for name in settings)


def test_every_port_is_on_loopback():
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert sorted(ports) == ["127.0.0.1:7474:7474", "127.0.0.1:7687:7687"]


@pytest.mark.parametrize("name", ["neo4j", "job"])
def test_services_have_health_checks_and_no_extra_rights(name: str):
    service = COMPOSE["services"][name]
    check = service["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged") and service.get("network_mode") != "host"
    assert not any("docker.sock" in volume for volume in service["volumes"])


def test_the_job_waits_for_a_healthy_server_and_writes_only_to_its_volume():
    job = COMPOSE["services"]["job"]
    assert job["depends_on"] == {"neo4j": {"condition": "service_healthy"}}
    assert job["read_only"] is True and job["cap_drop"] == ["ALL"]
    writable = [volume for volume in job["volumes"] if not volume.endswith(":ro")]
    assert writable == ["runs:/srv/runs"]


def test_named_volumes_are_declared_and_used():
    used = {v.split(":")[0] for s in COMPOSE["services"].values() for v in s["volumes"] if v[0].isalpha()}
    assert used == set(COMPOSE["volumes"])


def test_memory_is_set_for_heap_and_page_cache():
    settings = COMPOSE["services"]["neo4j"]["environment"]
    assert "NEO4J_server_memory_heap_max__size" in settings
    assert "NEO4J_server_memory_pagecache_size" in settings
    assert "mem_limit" in COMPOSE["services"]["neo4j"]


def test_the_readme_names_every_variable_and_says_what_was_not_run():
    variables = set(re.findall(r"\$\{([A-Z_]+):[?-]", COMPOSE_TEXT))
    assert variables == {v for v in variables if f"`{v}`" in README}
    assert "neither\nbuilt nor started" in README


def test_the_commands_of_the_job_are_commands_of_the_program():
    from modalweave.cli.app import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert {COMPOSE["services"]["job"]["command"][0], "doctor", "demo"} <= known
