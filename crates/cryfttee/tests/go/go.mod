module cryftgo-node

go 1.19
