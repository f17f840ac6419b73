"""`allotment project`: the tenants that own things.

Invariant: each command is one command or query of the model.
"""

from __future__ import annotations

import click

from allotment.doors.cli import deletion, options, output
from allotment.doors.cli.grammar import DoorGroup
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.quota import quota
from allotment.doors.cli.suggestions import projects
from allotment.doors.cli.values import changed
from allotment.model.commands import CreateProject, DeleteProject, UpdateProject
from allotment.model.queries import GetProject, ListProjects
from allotment.model.results import Project


@click.group("project", cls=DoorGroup)
def project_group() -> None:
    """Projects: the tenants that own subnet pools, subnets and allocations."""


@project_group.command()
@click.argument("name")
@options.description
@options.key
@click.pass_obj
def create(invocation: Invocation, name: str, description: str | None, key: str | None) -> None:
    """Enter a project.

    Example: allotment project create payments
    """
    made = invocation.do(
        CreateProject(name=name, description=description or "", idempotency_key=key)
    )
    output.resource(invocation, made, f"project {made.name} created")


@project_group.command("list")
@options.paged
@click.pass_obj
def list_projects(invocation: Invocation) -> None:
    """List the projects by name."""
    output.listing(invocation, ListProjects(), Project)


@project_group.command()
@click.argument("project", shell_complete=projects)
@click.pass_obj
def show(invocation: Invocation, project: str) -> None:
    """Show one project, by name or id."""
    output.resource(invocation, invocation.ask(GetProject(project=project)))


@project_group.command()
@click.argument("project", shell_complete=projects)
@click.option("--name", help="The new name.")
@options.description
@options.if_version
@click.pass_obj
def update(
    invocation: Invocation,
    project: str,
    *,
    name: str | None,
    description: str | None,
    if_version: int | None,
) -> None:
    """Change a project's name or description.

    Example: allotment project update payments --description "card payments"
    """
    command = UpdateProject(
        project=project, name=changed(name), description=changed(description), version=if_version
    )
    output.resource(invocation, invocation.do(command), "project updated")


@project_group.command()
@click.argument("project", shell_complete=projects)
@options.yes
@click.pass_obj
def delete(invocation: Invocation, project: str, *, yes: bool) -> None:  # noqa: ARG001 - see help
    """Remove a project; refused while it owns anything.

    What owns nothing goes without a question: --yes changes nothing here.
    """
    deleted = invocation.do(DeleteProject(project=project))
    deletion.report(invocation, f"project {project}", deleted)


project_group.add_command(quota)
