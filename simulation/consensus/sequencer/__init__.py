"""One trusted orderer: the smallest protocol behind the contract, and the example to copy from."""
