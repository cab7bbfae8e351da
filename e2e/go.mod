module exeunt/e2e

go 1.26
