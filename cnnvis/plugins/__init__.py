"""Plugins that come with cnnvis, one folder a kind; renderers are in `cnnvis.renderers`."""
