FROM debian:bookworm as base
ENV PASSWORD=hunter2
ENV FOO bar
MAINTAINER me
WORKDIR relative
CMD echo hi
