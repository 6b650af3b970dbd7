//! libkrun, as the Python package `microsandbox` brings it: the only binary of it in a package registry.
