"""The docs: `nox -s docs` builds them, with every warning an error."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

import trioreg

project = "trioreg"
author = "The trioreg developers"
copyright = author
release = metadata.version("trioreg")

# No intersphinx: the docs build without a network.
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "house_directives"]
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
html_title = f"trioreg {release}"

# `ActorRef.stop` in a docstring is a reference, as in Trio's docs; what is no name is written ``so``.
default_role = "py:obj"
primary_domain = "py"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
# What a class has from a private base is shown with it; what it has from these is not shown again.
autodoc_default_options = {
    "members": True,
    "inherited-members": "Actor,Address,Generic,Owner,TrioregError,ExceptionGroup,LookupError,WouldBlock,tuple,str",
}
python_use_unqualified_type_names = True
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

# With `-n` a reference in prose must lead somewhere. Signatures also name what is documented elsewhere or nowhere.
nitpick_ignore_regex = [
    ("py:(class|exc)", r"(?!trioreg\.[A-Za-z]).*"),
    ("py:obj", r"(trio|trio_util|attrs|contextlib|collections\.abc|typing)\..+"),
    ("py:obj", r"trioreg\._.+"),  # type variables
    ("py:obj", r"__\w+__"),
]


def find_inherited_overloads(_: Sphinx) -> None:
    """Let autodoc see the overloads that a public class has from a private base: it looks under the public name."""
    for name in trioreg.__all__:
        public = getattr(trioreg, name)
        for base in public.__mro__[1:] if isinstance(public, type) else ():
            if base.__module__.startswith("trioreg._"):
                analyzer = ModuleAnalyzer.for_module(base.__module__)
                analyzer.analyze()
                for path, overloads in list(analyzer.overloads.items()):
                    owner, _, method = path.partition(".")
                    if owner == base.__name__:
                        analyzer.overloads[f"{name}.{method}"] = overloads


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", find_inherited_overloads)
