# What there is to run, in one place; nothing here is needed to build or install.
.PHONY: test fast bench docs

test:    ## every check and test, as CI runs them
	python3 test.py

fast:    ## the same without PostgreSQL and the races
	python3 test.py --fast

bench:   ## every claim of docs/performance.md; sizes by SIZES="--size p1:clients=1,8"
	.venv/bin/python bench/run.py $(SIZES)

docs:    ## the generated reference
	.venv/bin/python docs/make_reference.py
