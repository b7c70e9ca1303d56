"""Secret agents: actors that are killed, restart, and keep their names.

python secret_agents.py         tells the whole story
python secret_agents.py FILE    answers a dialogue, each line as it comes in ("-" is standard input)
python secret_agents.py --observe [ADDRESS]
                                goes on until Ctrl-C: James Bond is killed every few seconds, and you see it in a
                                browser; ADDRESS is 127.0.0.1:4001 if you give none

In a dialogue, each line is one of

  NAME: line       the agent NAME says the line; a new agent is started first
  kill NAME        ends the agent at once; its supervisor restarts it under the same name
  stop NAME        ends the agent for good; the next "NAME: line" starts a new one
  keys NAME        shows the names that the agent holds
  whereis NAME     shows the agent's reference
  tree             shows the supervision tree
  tables           shows the tables of the registry
  count            shows how many names are held

A line with a colon is always speech: the name is the text before the first colon. Blank lines, lines that begin with
"#", and spaces around names and lines are ignored. The text is UTF-8. If a line makes no sense, the program reports
its number and goes on. The exit status is 0 at the end of the dialogue, 2 if the dialogue can't be read or the
arguments are wrong, and 130 after Ctrl-C. With --observe it is 2 if the observer is not installed or can't listen.
"""

import argparse
import itertools
import logging
import math
import os
import sys
import textwrap
from functools import partial
from io import TextIOWrapper
from typing import BinaryIO, cast

import trio
from ending import first

from trioreg import Actor, AlreadyRegistered, DynamicSupervisor, NotRegistered, Owner, Registry, open_dynamic_supervisor


class SecretAgent(Actor):
    def __init__(self, codename: str) -> None:
        self.codename = codename

    def echo(self, text: str) -> str:  # a message is a method
        return f'{self.codename} says: "{text}"'


# The story


async def story() -> None:
    log = LogBook()
    print("Secret agents: agents come and go, their names stay")
    # One partition has one table of each kind, which is easy to read. The story kills an agent a thousand times, so
    # restarts have no limit here: by default, a supervisor gives up at the fourth restart within five seconds.
    agents: Registry[str, None] = Registry("agents", keys="unique", partitions=1)
    async with open_dynamic_supervisor(max_restarts=math.inf) as supervisor:
        title("1. Two agents start under a supervisor, each with a name in the registry")
        for name in ("James Bond", "Mr. White"):
            # "transient": restarted after a crash or a kill, gone for good after a stop
            ref = await supervisor.start_child(SecretAgent, name, name=agents.via(name), restart="transient")
            show(f"{name} is {ref}")

        title("2. They answer to their names: you need no reference")
        bond, white = agents.via("James Bond"), agents.via("Mr. White")
        show(await bond.call(SecretAgent.echo, "My name is Bond, James Bond."))
        show(await white.call(SecretAgent.echo, "Mine is an alias. So is the colour."))

        title("3. The supervision tree, and the two tables: the owner of each name, the names of each owner")
        show(f"{supervisor.tree()}\n\n{agents.dump()}")

        title("4. James Bond is killed; the supervisor restarts him and logs it")
        old, witness = agents.whereis("James Bond"), Witness(agents, "James Bond")
        trio.lowlevel.add_instrument(witness)
        bond.kill()
        exit = await bond.wait()
        answer = await bond.call(SecretAgent.echo, "You only live as often as you are restarted.")
        trio.lowlevel.remove_instrument(witness)
        show(f"{old} has ended ({exit}); James Bond is {agents.whereis('James Bond')}\n{answer}\n{witness}")
        show(f"log: {log.lines[-1]}")

        title("5. The tree and the tables again: a new reference, the same name")
        show(f"{supervisor.tree()}\n\n{agents.dump()}")

        title("6. The names that the new James Bond holds")
        show(f"{agents.keys(holder('James Bond', agents))}")

        title("7. A second James Bond cannot start: the name is taken")
        try:
            await supervisor.start_child(SecretAgent, "James Bond", name=agents.via("James Bond"))
        except AlreadyRegistered as refusal:
            show(f"{refusal}")

        title("8. James Bond is killed a thousand times more, and answers after each kill")
        witness = Witness(agents, "James Bond")
        trio.lowlevel.add_instrument(witness)
        for _ in range(1000):
            bond.kill()
            await bond.wait()
            await bond.call(SecretAgent.echo, "Still here.")
        trio.lowlevel.remove_instrument(witness)
        show(f"{witness}\n{supervisor.tree()}")

        title("9. Both stop, and the supervisor ends with its last child")
        for name in ("James Bond", "Mr. White"):
            show(f"{name} has ended ({await agents.via(name).stop()})")
    show(f"names still held: {agents.count()}")
    title("Next, see it live in a browser. Type in the folder that has `examples`:")
    show('python -m pip install ".[observer]"\npython examples/secret_agents.py --observe')


class Witness(trio.abc.Instrument):
    """Look a name up after every step of Trio's scheduler: no task can look more often."""

    def __init__(self, agents: Registry[str, None], name: str) -> None:
        self.agents, self.name = agents, name
        self.looks = self.dead = self.free = 0

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        found = self.agents.lookup(self.name)
        self.looks += 1
        self.free += not found
        self.dead += any(not owner.is_alive for owner, _ in found)

    def __str__(self) -> str:
        looks = f"{self.looks:,} look-ups meanwhile, one after each step of the scheduler"
        return f"{looks}: {self.dead} found a dead agent, {self.free} found the name free"


class LogBook(logging.Handler):
    """Keep trioreg's log lines, so that the story can show one in the right place."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        logger = logging.getLogger("trioreg")
        logger.addHandler(self)
        logger.setLevel(logging.INFO)  # a crash is logged at ERROR, but a restart after a kill at INFO

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def title(text: str) -> None:
    print(f"\n{text}")


def show(text: str) -> None:
    print(textwrap.indent(text, "   "))


# The dialogue


class BadLine(Exception):
    """A line that is neither speech nor a command."""


async def dialogue(source: BinaryIO, path: str) -> int:
    agents: Registry[str, None] = Registry("agents", keys="unique", partitions=4)
    status = 0
    with trio.CancelScope() as scope:
        async with open_dynamic_supervisor(max_restarts=math.inf) as supervisor:
            for number in itertools.count(1):
                try:
                    # In a thread: the agents go on while the program waits for a line. Ctrl-C abandons the thread.
                    raw = await trio.to_thread.run_sync(source.readline, abandon_on_cancel=True)
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except OSError as error:
                    status = cannot_read(path, error.strerror)
                    break
                except UnicodeDecodeError:
                    status = cannot_read(path, f"line {number} is not UTF-8")
                    break
                if not raw:
                    break
                try:
                    await perform(line, agents, supervisor)
                except (BadLine, NotRegistered) as error:
                    # On stderr: stdout may go to a file, or to a program that expects only answers.
                    print(f"line {number}: {error}", file=sys.stderr)
            scope.cancel()  # Shuts the agents down; without this, the supervisor waits until each has stopped.
    return status


async def perform(line: str, agents: Registry[str, None], supervisor: DynamicSupervisor) -> None:
    if not line or line.startswith("#"):
        return
    if ":" in line:
        name, text = (part.strip() for part in line.split(":", 1))
        if not name:
            raise BadLine("there is no name before the colon")
        if agents.whereis(name) is None:
            ref = await supervisor.start_child(SecretAgent, name, name=agents.via(name), restart="transient")
            print(f"{name} is new: {ref}")
        print(await agents.via(name).call(SecretAgent.echo, text))
        return
    match line.split(maxsplit=1):
        case ["kill", name]:
            old, agent = holder(name, agents), agents.via(name)
            agent.kill()
            await agent.wait()  # The old agent has the name until it has really ended, so this waits for its end.
            print(f"{name} is killed: {old} is gone, {holder(name, agents)} has the name")
        case ["stop", name]:
            print(f"{name} has left ({await agents.via(name).stop()})")
        case ["keys", name]:
            print(f"{name} holds {agents.keys(holder(name, agents))}")
        case ["whereis", name]:
            print(f"{name} is {holder(name, agents)}")
        case ["tree"]:
            print(supervisor.tree())
        case ["tables"]:
            print(agents.dump())
        case ["count"]:
            print(f"names held: {agents.count()}")
        case _:
            shown = line if len(line) <= 40 else line[:37] + "..."
            commands = "kill NAME, stop NAME, keys NAME, whereis NAME, tree, tables, count"
            raise BadLine(f"{shown!r} is neither 'NAME: line' nor a command ({commands})")


def holder(name: str, agents: Registry[str, None]) -> Owner:
    owner = agents.whereis(name)
    if owner is None:
        raise NotRegistered(agents.name, name)
    return owner


# The story, live


SECONDS = 3
"""Between two kills of James Bond."""


async def live(address: str) -> int:
    try:
        from trioreg import observer  # only here: it needs more than trioreg itself does
    except ImportError as error:
        return complain(f"{error}")
    async with trio.open_nursery() as nursery:
        try:
            await nursery.start(partial(observer.serve, address, read_only=False))
        except OSError as error:
            return complain(f"{error}")
        except ValueError as error:
            return complain(f"--observe: {error}")
        print(f"James Bond is killed every {SECONDS} seconds: look at the tree and at the registries. Ctrl-C ends it.")
        await live_and_let_die()
    return 0


async def live_and_let_die() -> None:
    agents: Registry[str, None] = Registry("agents", keys="unique", partitions=1)
    async with open_dynamic_supervisor(max_restarts=math.inf, name="agents") as supervisor:
        while True:
            for name in ("James Bond", "Mr. White"):
                if agents.whereis(name) is None:  # at the start, and when you have stopped an agent in the browser
                    await supervisor.start_child(SecretAgent, name, name=agents.via(name), restart="transient")
            await trio.sleep(SECONDS)
            old = agents.whereis("James Bond", of=SecretAgent)
            if old is not None:
                old.kill()
                await old.wait()
                print(f"James Bond was {old}, and is {agents.whereis('James Bond')}")


# The program


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE", nargs="?", help='a dialogue; "-" is standard input')
    text = "show the agents in a browser while James Bond is killed again and again (needs trioreg[observer])"
    parser.add_argument("--observe", metavar="ADDRESS", nargs="?", const="127.0.0.1:4001", help=text)
    arguments = parser.parse_args()
    path: str | None = arguments.file
    address: str | None = arguments.observe
    if path is not None and address is not None:
        parser.error("give either FILE or --observe, not both")
    if sys.stdout is not None:  # None: the program was started without one
        # Each answer goes out at once, into a pipe too. A character that the terminal can't show does not end the run.
        cast("TextIOWrapper", sys.stdout).reconfigure(line_buffering=True, errors="backslashreplace")
    status = 0
    try:
        if address is not None:
            status = trio.run(live, address)
        elif path is None:
            trio.run(story)
        else:
            status = run_dialogue(path)
    except* OSError as group:  # nothing can be printed: a full disk, or a closed pipe (`| head`), which is no failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python's last flush must not fail, too
        error = first(group)
        status = 0 if isinstance(error, BrokenPipeError) else complain(f"{error}")
    except* KeyboardInterrupt:
        status = 130
    return status


def run_dialogue(path: str) -> int:
    try:
        # Standard input is opened again: a thread that still reads `sys.stdin` would block the end of the program.
        source = open(0 if path == "-" else path, "rb", closefd=path != "-")  # noqa: SIM115
    except OSError as error:
        return cannot_read(path, error.strerror)
    try:
        status = trio.run(dialogue, source, path)
    except* OSError:  # an answer can't be printed
        source.close()
        raise
    source.close()  # not after Ctrl-C: then that thread may still read
    return status


def cannot_read(path: str, reason: str | None) -> int:
    return complain(f"cannot read {path}: {reason}")


def complain(text: str) -> int:
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
