"""Every option of the chart, switched on alone and all together."""

from typing import Any

Values = dict[str, Any]

DAEMONSET: dict[str, Values] = {
    "everything off": {
        "kubernetes": {"podResources": False, "apiServer": False},
        "nvidia": {"enabled": False},
        "host": {"cgroups": False},
        "gpuNodesOnly": False,
        "tolerations": [],
        "nodeSelector": {},
        "rbac": {"create": False},
        "serviceAccount": {"create": False},
    },
    "names": {"nameOverride": "costs", "fullnameOverride": "our-costs"},
    "image": {
        "image": {
            "repository": "registry.example.com:5000/finops/unitcost",
            "digest": "sha256:" + "0123456789abcdef" * 4,
            "pullPolicy": "Always",
            "pullSecrets": ["registry"],
        }
    },
    "tag": {"image": {"tag": "0.1.0-report"}},
    "config": {"config": {"price": {"usd_per_hour": 12.29}, "period": 10}},
    "api": {
        "kubernetes": {"dra": True, "nodeIdentity": True, "trainJobs": True, "podLogs": True},
    },
    "another kubelet": {"kubernetes": {"kubeletPath": "/var/lib/k0s/kubelet"}},
    "host": {"host": {"pid": True, "network": True, "proc": True, "sys": True}},
    "profiling": {"nvidia": {"profiling": True, "visibleDevices": "0,1"}},
    "a driver on the host": {
        "nvidia": {"runtimeClassName": "", "driverHostPath": "/home/kubernetes/bin/nvidia"},
        "security": {"privileged": True},
    },
    "training": {"training": {"enabled": True, "hostPath": "/srv/train"}},
    "training, written by root": {"training": {"enabled": True, "makeWritable": False}},
    "a ledger that goes": {"ledger": {"type": "emptyDir", "sizeLimit": "1Gi"}},
    "security": {
        "security": {"sysPtrace": True, "dacReadSearch": True, "seLinuxType": "spc_t"},
        "openshift": {"scc": {"create": True}},
    },
    "nobody": {
        "security": {"runAsUser": 65532},
        "kubernetes": {"podResources": False},
        "ledger": {"type": "emptyDir"},
        "notify": {"slack": {"secret": "slack"}},
    },
    "scheduling": {
        "affinity": {"nodeAffinity": {}},
        "priorityClass": {"create": True, "value": 5},
        "updateStrategy": {"maxUnavailable": "10%"},
        "tolerations": [{"key": "spot", "operator": "Equal", "value": "1", "effect": "NoExecute"}],
    },
    "scheduling of others": {
        "priorityClassName": "system-node-critical",
        "updateStrategy": {"type": "OnDelete"},
    },
    "pods": {
        "podAnnotations": {"example.com/team": "finops"},
        "podLabels": {"team": "finops"},
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "extraVolumes": [{"name": "logs", "persistentVolumeClaim": {"claimName": "logs"}}],
        "extraVolumeMounts": [{"name": "logs", "mountPath": "/logs", "readOnly": True}],
    },
    "secrets": {
        "secretMounts": [{"name": "mlflow", "secret": "mlflow-token"}],
        "configMapMounts": [{"name": "prices", "configMap": "our-prices"}],
        "notify": {"slack": {"secret": "slack"}, "webhook": {"secret": "hook", "key": "address"}},
    },
    "pod monitor": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "service monitor": {
        "service": {"enabled": True, "annotations": {"example.com/a": "b"}},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    },
    "rules and dashboards": {
        "prometheusRule": {"enabled": True},
        "alertmanagerConfig": {"enabled": True, "secret": "slack", "labels": {"a": "b"}},
        "dashboards": {"enabled": True, "annotations": {"grafana_folder": "unitcost"}},
    },
    "network": {
        "networkPolicy": {
            "enabled": True,
            "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}],
        },
        "web": {"port": 9999},
    },
    "network, open": {"networkPolicy": {"enabled": True}},
    "a cloud role": {"serviceAccount": {"name": "costs", "annotations": {"example.com/r": "x"}}},
}

SIDECAR: dict[str, Values] = {
    "units": {"sidecar": {"scope": "units"}},
    "the cluster's user": {"sidecar": {"runAsUser": 0}},
    "processes": {"sidecar": {"shareProcessNamespace": True, "visibleDevices": "all"}},
    "an ordinary container": {"sidecar": {"native": "never"}},
    "training": {"training": {"enabled": True}},
    "secrets": {
        "secretMounts": [{"name": "mlflow", "secret": "mlflow-token"}],
        "notify": {"slack": {"secret": "slack"}},
    },
    "pod monitor": {"podMonitor": {"enabled": True}},
    "no GPUs": {"nvidia": {"enabled": False}},
    "env": {"env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]},
}

CENTRAL: Values = {
    "central": {"url": "https://costs.example.com", "secret": "token", "caSecret": "authorities"}
}
"""An agent that sends what it charged."""

FLEET: Values = {
    "mode": "deployment",
    "deployment": {"database": {"secret": "database"}, "tokens": {"secret": "tokens"}},
}
"""The fleet's ledger: what has to be named."""

DEPLOYMENT: dict[str, Values] = {
    "as it comes": {},
    "several": {
        "deployment": {
            "replicas": 3,
            "port": 8443,
            "retentionDays": 3650,
            "database": {"key": "uri"},
            "tokens": {"key": "agents"},
            "tolerations": [{"key": "a", "operator": "Exists"}],
            "podDisruptionBudget": {"enabled": False},
        },
        "priorityClass": {"create": True},
        "config": {"log": {"format": "json"}},
    },
    "reached from outside": {
        "deployment": {
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "host": "costs.example.com",
                "tlsSecret": "costs-tls",
                "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "8m"},
            }
        },
        "networkPolicy": {"enabled": True},
    },
    "by TLS of its own": {
        "web": {"configSecret": "fleet-web", "tls": True},
        "deployment": {"report": {"enabled": True}},
    },
    "reported": {
        "deployment": {"report": {"enabled": True, "timezone": "Europe/Berlin"}},
        "podLabels": {"team": "finops"},
    },
    "watched": {
        "serviceMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True},
    },
    "pods": {"env": [{"name": "A", "value": "b"}], "affinity": {"podAntiAffinity": {}}},
}

WEB: Values = {
    "web": {"configSecret": "unitcost-web", "tls": True},
    "podMonitor": {
        "enabled": True,
        "basicAuthSecret": "scraper",
        "tlsConfig": {"ca": {"secret": {"name": "ca", "key": "ca.crt"}}},
    },
}
"""TLS and passwords."""
