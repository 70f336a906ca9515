# `make` lists the targets. They need Rust, Python 3, make and a C compiler. All other tools are pinned in Cargo.lock,
# tests/*/requirements-*.txt and here (those of `make audit`), and stay in target/.

PYTHON ?= python3
VENVS ?= target/venvs

CLOUD := $(VENVS)/cloud/.installed
TOOLS := $(VENVS)/tools/.installed
PICTURE := $(VENVS)/picture/.installed
BENCH := $(VENVS)/bench/.installed
AUDIT := $(VENVS)/audit/.installed
CDK := target/npm/cdk/.installed
LINTERS := target/npm/linters/.installed
DENY := target/tools/cargo-deny@0.20.2/bin/cargo-deny
CYCLONEDX := target/tools/cargo-cyclonedx@0.5.9/bin/cargo-cyclonedx
NAME := cloudfront-invalidator
TEMPLATES := template.yaml examples/*.yaml examples/site/template.yaml

# sam must neither read the developer's AWS settings nor reach AWS: nothing listens on the discard port.
SAM := env -u AWS_PROFILE AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null \
	AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 \
	AWS_ENDPOINT_URL=http://127.0.0.1:9 AWS_EC2_METADATA_DISABLED=true \
	SAM_CLI_TELEMETRY=0 __SAM_CLI_APP_DIR="$(abspath $(VENVS))/sam" \
	PATH="$(abspath $(VENVS))/tools/bin:$$PATH" sam

# cargo in the workspace of the cold start. The packages are built one by one: built together, the empty function gets
# all features that the driver needs of their common dependencies.
COLD_START := cd benches/cold_start && CARGO_TARGET_DIR="$(abspath target/bench)" cargo

# cargo-zigbuild finds zig in the environment of Python that is first on the PATH.
DIST := PATH="$(abspath $(VENVS))/tools/bin:$$PATH" python -B .github/release/dist.py

# $(call step,name,command) runs the command and prints how long it took.
step = @echo "== $(1)"; began=$$(date +%s); $(2); status=$$?; \
	echo "== $(1): $$(($$(date +%s) - began)) s$$([ $$status -eq 0 ] || echo ', failed')"; exit $$status

.PHONY: help demo test lint docs dist picture terminal unit release local binaries bench soak fresh capacity audit build clean rust python
.NOTPARALLEL:
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ': .*## ' '/^[a-z]+:.*## /{sub(/:.*/, "", $$1); printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: binaries $(CLOUD) $(TOOLS) ## Deploy the stack into a local AWS and show what it does
	@"$(VENVS)/tools/bin/python" -B tests/local/demo.py --venvs "$(VENVS)"

test: lint unit release local ## Check everything that CI checks

lint: rust docs $(TOOLS) $(LINTERS) ## Check the format, clippy, the templates, the workflows and the documentation
	$(call step,cargo fmt,cargo fmt --check)
	$(call step,cargo clippy,cargo clippy --locked --all-targets --all-features -- -D warnings)
	$(call step,cargo fmt of the cold start,$(COLD_START) fmt --check)
	$(call step,cargo clippy of the cold start,$(COLD_START) clippy --locked --all-targets -- -D warnings)
	$(call step,cfn-lint,"$(VENVS)/tools/bin/cfn-lint" $(TEMPLATES))
	$(call step,sam validate,$(SAM) validate --lint && $(SAM) validate --lint --template examples/site/template.yaml)
	$(call step,workflows and installers,"$(VENVS)/tools/bin/python" -B tests/release/lint.py "$(dir $(LINTERS))")

docs: $(TOOLS) ## Check the documentation's samples against AWS's API and the template
	$(call step,documentation,"$(VENVS)/tools/bin/python" -B tests/docs/check.py)

dist: $(TOOLS) $(CLOUD) $(CYCLONEDX) rust ## Build the archives of a release for x86_64 Linux and check them (15 minutes)
	@rm -rf target/dist
	$(call step,SBOM and notices,$(PYTHON) -B tests/audit/third_party.py $(CYCLONEDX))
	$(call step,man pages,$(DIST) manual)
	$(call step,building the function,$(DIST) function --architecture x86_64)
	$(call step,building the command line,$(DIST) cli --target x86_64-unknown-linux-gnu)
	$(call step,installers and checksums,$(DIST) finish)
	$(call step,building the stand-in,cargo build --locked --example standin)
	$(call step,end to end,"$(VENVS)/tools/bin/python" -B tests/local/demo.py --venvs "$(VENVS)" --quiet --release target/dist)

picture: $(PICTURE) ## Draw the dashboard of the template with sample data as docs/dashboard.png
	$(call step,picture,"$(VENVS)/picture/bin/python" -B tests/docs/picture.py)

terminal: binaries $(CLOUD) $(TOOLS) $(PICTURE) ## Draw a deploy and the demo in a terminal as docs/deploy.svg and docs/demo.svg
	$(call step,terminal,"$(VENVS)/picture/bin/python" -B tests/docs/terminal.py --venvs "$(VENVS)")

unit: rust ## Run the tests of the crate
	$(call step,cargo test,cargo test --locked --all-features)

release: binaries $(TOOLS) $(CDK) ## Test the archives of a release with small files, the installers, the action and the CDK
	$(call step,release,"$(VENVS)/tools/bin/python" -B -m unittest discover --start-directory tests/release)

local: binaries $(CLOUD) $(TOOLS) ## Run the checks of the demo, and a small measurement of freshness
	$(call step,end to end,"$(VENVS)/tools/bin/python" -B tests/local/demo.py --venvs "$(VENVS)" --quiet)
	$(call step,freshness,MINISTACK="$(abspath $(VENVS))/cloud/bin/ministack" \
		cargo test --locked --all-features --test fresh_small)

bench: rust $(BENCH) $(PICTURE) ## Time the planner, score it, and measure the cold start (release profile: takes minutes)
	$(call step,criterion,cargo bench --locked --bench plan)
	$(call step,chart of the planner,"$(VENVS)/picture/bin/python" -B benches/charts.py planner)
	$(call step,building the planner,cargo build --locked --release --example plan)
	$(call step,scores,$(PYTHON) tests/planner/score.py --table)
	$(call step,building the function,cargo build --locked --release --bin $(NAME))
	$(call step,testing the measurement,$(COLD_START) test --locked --package driver)
	$(call step,building the measurement,$(COLD_START) build --locked --release --package driver)
	$(call step,building the empty function,$(COLD_START) build --locked --release --package empty)
	$(call step,cold start,target/bench/release/driver --function "this function=target/release/$(NAME)" \
		--empty target/bench/release/empty --python "$(VENVS)/bench" --json benches/results.json)
	$(call step,chart of the cold start,"$(VENVS)/picture/bin/python" -B benches/cold_start/chart.py)

soak: rust ## Send 100,000 changes with faults and changed configurations and check that none is lost (seven minutes)
	$(call step,cargo build,cargo build --locked --bin $(NAME) --example soak)
	$(call step,soak,target/debug/examples/soak $(SOAK))

fresh: rust $(CLOUD) ## Send 100,000 requests of viewers and check that none is stale or lost (three minutes)
	$(call step,cargo build,cargo build --locked --bin $(NAME) --example fresh)
	$(call step,fresh,target/debug/examples/fresh --ministack "$(VENVS)/cloud/bin/ministack" $(FRESH))

capacity: rust ## Print the table of docs/limits.md: calls, cost and freshness by load, in virtual time (takes minutes)
	$(call step,cargo build,cargo build --locked --all-features --example capacity)
	$(call step,capacity,target/debug/examples/capacity $(CAPACITY))

# cargo-deny fetches the database of advisories from GitHub. git ends instead of prompting for a password, and after 30
# seconds without data.
audit: rust $(AUDIT) $(DENY) $(CYCLONEDX) ## Audit crates and templates, write SBOMs and notices (minutes)
	@mkdir -p target/audit
	$(call step,cargo deny,$(DENY) --locked check --hide-inclusion-graph bans licenses sources)
	$(call step,advisories,export GIT_TERMINAL_PROMPT=0 GIT_HTTP_LOW_SPEED_LIMIT=1 GIT_HTTP_LOW_SPEED_TIME=30; \
		if $(DENY) --locked fetch db 2>target/audit/advisory-db.log; \
		then $(DENY) --frozen check --hide-inclusion-graph advisories; \
		else echo "advisories are not checked: the database cannot be fetched (target/audit/advisory-db.log)"; [ -z "$$CI" ]; fi)
	$(call step,SBOM and notices,$(PYTHON) -B tests/audit/third_party.py $(CYCLONEDX))
	$(call step,checkov,$(PYTHON) -B tests/audit/templates.py "$(VENVS)/audit/bin/checkov" $(TEMPLATES))

build: rust $(TOOLS) ## Build the function for `sam deploy` (release profile: takes minutes)
	$(call step,sam build,$(SAM) build)

clean: ## Delete everything that was built or installed
	rm -rf target .aws-sam

# Both commands build the stand-in, so that its dependencies have the same features in both. Otherwise cargo builds many
# of them twice. The function is built without the feature of the command line.
binaries: rust
	$(call step,cargo build,cargo build --locked --bin $(NAME) --example standin)
	$(call step,cargo build of the command line,cargo build --locked --all-features --bin cf-invalidate --example standin)

$(CLOUD) $(TOOLS): $(VENVS)/%/.installed: tests/local/requirements-%.txt
$(AUDIT): $(VENVS)/%/.installed: tests/audit/requirements-%.txt
$(PICTURE): $(VENVS)/%/.installed: tests/docs/requirements-%.txt
$(BENCH): $(VENVS)/%/.installed: benches/cold_start/python/requirements-%.txt
$(CLOUD) $(TOOLS) $(AUDIT) $(PICTURE) $(BENCH): | python
	$(call step,installing $(@D),$(PYTHON) -m venv --clear "$(@D)" \
		&& "$(@D)/bin/pip" install --quiet --disable-pip-version-check --no-deps -r $< \
		&& "$(@D)/bin/pip" check && touch "$@")

# npm finds node on the PATH, and runs no script of a package.
$(CDK): examples/cdk/package.json examples/cdk/package-lock.json
$(LINTERS): tests/release/npm/package.json tests/release/npm/package-lock.json
$(CDK) $(LINTERS): $(TOOLS)
	$(call step,installing $(@D),mkdir -p "$(@D)" && cp $(filter %.json,$^) "$(@D)" && cd "$(@D)" \
		&& PATH="$(abspath $(VENVS))/tools/bin:$$PATH" npm ci --silent --ignore-scripts --no-audit --no-fund && touch .installed)

# The third part of the path is the name and version, so that each version has a folder of its own.
$(DENY) $(CYCLONEDX): | rust
	$(call step,installing $(@F),cargo install --quiet --locked --root "$(@D:/bin=)" $(word 3,$(subst /, ,$@)))

rust:
	@command -v cc >/dev/null || { echo "cc is missing: install a C compiler (Debian: apt-get install gcc libc6-dev)"; exit 1; }
	@command -v cargo >/dev/null && command -v rustc >/dev/null \
		|| { echo "cargo or rustc is missing: install Rust from https://rustup.rs"; exit 1; }
	@need=$$(sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml); have=$$(rustc --version | cut -d ' ' -f 2); \
		[ "$$(printf '%s\n' "$$need" "$${have%%-*}" | sort -V | head -n 1)" = "$$need" ] \
		|| { echo "rustc $$have is older than $$need: run \`rustup update stable\`"; exit 1; }
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 \
		|| { echo "rustfmt or clippy is missing: run \`rustup component add rustfmt clippy\`"; exit 1; }

python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is $$($(PYTHON) --version): install 3.11 or newer, then \`make PYTHON=python3.11\`"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "$(PYTHON) cannot create environments: install venv (Debian: apt-get install python3-venv)"; exit 1; }
