"""The docs: `nox -s docs` builds them, with every warning an error."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "trioreg"
author = "The trioreg developers"
copyright = author
release = metadata.version("trioreg")

# No intersphinx: the docs build without a network.
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "house_directives",
    "diagram_directives",
    "signatures",
]
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
# The dark style of the theme underlines names in code, as if they were links.
pygments_dark_style = "github-dark"
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
html_favicon = "../trioreg/_observer_web/static/icon.svg"
html_title = f"trioreg {release}"

# `ActorRef.stop` in a docstring is a reference, as in Trio's docs; what is no name is
# written ``so``.
default_role = "py:obj"
primary_domain = "py"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"  # the order of the reference page
python_use_unqualified_type_names = True
maximum_signature_line_length = 100  # a longer one has a line for each parameter
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

# With `-n` a reference in prose must lead somewhere. Signatures also name what is
# documented elsewhere or nowhere.
nitpick_ignore_regex = [
    ("py:(class|exc)", r"(?!trioreg\.[A-Za-z]).*"),
    ("py:obj", r"(trio|trio_util|attrs|contextlib|collections\.abc|typing)\..+"),
    ("py:obj", r"trioreg\._.+"),  # type variables
    ("py:class", r"trioreg\.debug\.A"),  # the same
    ("py:obj", r"__\w+__"),
]
