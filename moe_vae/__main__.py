"""`python -m moe_vae`."""

from moe_vae.cli import main

raise SystemExit(main())
