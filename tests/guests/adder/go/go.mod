module adder

go 1.24
