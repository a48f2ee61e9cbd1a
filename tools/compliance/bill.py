"""The bill of materials, CycloneDX 1.6 in JSON, of both ecosystems in one.

The same lock files give the same bytes: no time of writing, and a serial number that follows from
the content. So two bills can be compared line by line.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import LicenseAcknowledgement, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from compliance.graph import Graph
from compliance.package import Ecosystem, Package, Scope

SERIALS = UUID("6f1c2c1e-5d1b-5c53-9c0e-5b6c1f0f7a55")
"""The name space of the serial numbers of these bills."""


def bill(graph: Graph, name: str, licence: str) -> str:
    """The bill as JSON text. `name` is the distribution that all of this goes into."""
    packages = [finding.package for finding in graph.findings]
    version = next((one.version for one in packages if one.local), "0")
    root = Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=f"pypi/{name}@{version}",
        purl=PackageURL("pypi", None, name, version),
        licenses=[LicenseExpression(licence)],
    )
    components = {
        one.reference: _component(one, packages) for one in packages if one.within is None
    }
    bom = Bom(components=components.values())
    bom.metadata.component = root
    direct = [
        one.reference
        for one in packages
        if one.within is None and (one.local or one.scope is Scope.BESIDE)
    ]
    bom.dependencies.add(_dependency(root, direct, components))
    for one in packages:
        if one.within is None:
            made = _dependency(components[one.reference], one.requires, components)
            bom.dependencies.add(made)
    data: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    del data["metadata"]["timestamp"]
    del data["serialNumber"]
    serial = uuid5(SERIALS, json.dumps(data, sort_keys=True))
    return json.dumps({**data, "serialNumber": f"urn:uuid:{serial}"}, indent=2, sort_keys=True)


def _dependency(
    component: Component, on: tuple[str, ...] | list[str], components: dict[str, Component]
) -> Dependency:
    return Dependency(
        component.bom_ref,
        dependencies=[Dependency(components[other].bom_ref) for other in on if other in components],
    )


def _component(package: Package, packages: list[Package]) -> Component:
    carried = [one for one in packages if one.within == package.reference]
    purl = None
    if package.ecosystem is not Ecosystem.NATIVE:
        purl = PackageURL(package.ecosystem.value, None, package.name, package.version)
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version or None,
        bom_ref=_reference(package),
        purl=purl,
        scope=ComponentScope.REQUIRED if package.scope.reaches_users else ComponentScope.EXCLUDED,
        licenses=[
            LicenseExpression(package.licence, acknowledgement=LicenseAcknowledgement.DECLARED)
        ]
        if package.licence
        else None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=package.checksum)]
        if package.checksum
        else None,
        components=[_component(one, packages) for one in carried],
        properties=[Property(name="helios:scope", value=package.scope.value)],
    )


def _reference(package: Package) -> str:
    return f"{package.within}#{package.name}" if package.within else package.reference
