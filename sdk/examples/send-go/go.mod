module example.test/send-go

go 1.26.0

require github.com/mailserver-dev/mailserver/sdk/go v0.0.0

require (
	github.com/apapsch/go-jsonmerge/v2 v2.0.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/oapi-codegen/nullable v1.1.0 // indirect
	github.com/oapi-codegen/runtime v1.8.0 // indirect
)

// In this repository. Outside of it, leave the line out: go get github.com/mailserver-dev/mailserver/sdk/go
replace github.com/mailserver-dev/mailserver/sdk/go => ../../go
