"""The systems that SuTI is compared with (Tables 1 to 3), one module a method; ``systems`` lists them."""
