"""Where the development broker's program comes from: Java of the machine, Apache Kafka's jars from Maven Central."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from data_specs.errors import BusError

KAFKA_VERSION = "4.3.1"
LOG4J_VERSION = "2.25.4"
JAVA_VERSION = 17  # Kafka 4's brokers need 17 or newer
_ARTIFACTS = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
    ("org.apache.logging.log4j", "log4j-core", LOG4J_VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),  # the binding for slf4j-api 1.7, which Kafka brings
)


@cache
def java_command() -> str:
    """The path of a Java that Kafka runs on; BusError says what to install."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    install = f"install Java {JAVA_VERSION} (Debian: apt-get install openjdk-17-jre-headless) or set JAVA_HOME"
    if java is None:
        place = f"JAVA_HOME {home}" if home else "PATH"
        raise BusError(f"the broker needs Java {JAVA_VERSION} or newer, found none in {place}; {install}")
    said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < JAVA_VERSION:
        first = said.splitlines()[0] if said else "nothing"
        raise BusError(f"the broker needs Java {JAVA_VERSION} or newer, {java} says {first}; {install}")
    return java


def jars_folder() -> Path:
    """Where the jars are kept: in the repository's .cache, else in the user's cache folder."""
    repository = Path(__file__).resolve().parent.parent
    home = repository / ".cache" if (repository / "pyproject.toml").is_file() else Path.home() / ".cache" / "roadweave"
    return home / f"kafka-{KAFKA_VERSION}"


def fetch_jars() -> Path:
    """The folder of Kafka's jars, fetched once (about 30 s, 54 MB); BusError says why they cannot be had."""
    folder = jars_folder()
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise BusError("the broker's jars are fetched with Maven, found no mvn; install it (Debian: apt-get install maven)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="kafka-new-") as work:
        pom = Path(work) / "pom.xml"
        pom.write_text(_pom())
        command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(pom), "dependency:copy-dependencies",
                   "-DincludeScope=runtime", f"-DoutputDirectory={work}/jars"]
        run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if run.returncode:
            said = next((line for line in run.stdout.splitlines() if "ERROR" in line), run.stdout.strip() or "nothing")
            raise BusError(f"Maven could not fetch Apache Kafka {KAFKA_VERSION}: {said}; is Maven Central reachable?")
        try:
            (Path(work) / "jars").rename(folder)
        except OSError:  # somebody else was quicker
            if not folder.is_dir():
                raise
    return folder


def what_is_missing() -> str:
    """Why no broker can be started here, in one line; empty where one can."""
    try:
        java_command()
    except BusError as error:
        return str(error)
    if not jars_folder().is_dir() and shutil.which("mvn") is None:
        return "the broker's jars are fetched with Maven, found no mvn"
    return ""


def _pom() -> str:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in _ARTIFACTS)
    return ('<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>roadweave</groupId>'
            f"<artifactId>broker</artifactId><version>1</version><packaging>pom</packaging><dependencies>{dependencies}"
            "</dependencies></project>\n")
