"""The plugins that come with cnnvis, one folder a kind; renderers have their own, `cnnvis.renderers`."""
