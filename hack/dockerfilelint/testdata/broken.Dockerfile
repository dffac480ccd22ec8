FROM debian:bookworm
COPPY a b
