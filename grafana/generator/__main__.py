"""`python -m grafana.generator`: writes dashboards and provisioning."""

import sys

from grafana.generator.write import write

sys.stdout.write("".join(f"{path}\n" for path in write()))
