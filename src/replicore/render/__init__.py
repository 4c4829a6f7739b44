"""A deployment as files that run without replicore: shell scripts, systemd units, Kubernetes.

Every command line comes from ``Engine.command`` and ``Recipe.command``, as those of ``up`` and
``compile`` do; what is written here is only what runs them.
"""
