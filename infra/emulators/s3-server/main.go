// An S3 server on a folder, for the tests. It uses Versity's gateway as a library, because the gateway's own
// command also brings in the code of three clouds and its tests.
//
//	s3-server HOST:PORT FOLDER
//
// Each folder in FOLDER is a bucket. The environment variables ROOT_ACCESS_KEY and ROOT_SECRET_KEY are the
// only key.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func serve(address, folder string) error {
	if err := (meta.XattrMeta{}).Test(folder); err != nil {
		return fmt.Errorf("%s: the file system does not support extended attributes: %w", folder, err)
	}
	store, err := posix.New(folder, meta.XattrMeta{}, posix.PosixOpts{})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(context.Background(), store, &embedgw.Config{
		Ports:             []string{address},
		RootUserAccess:    os.Getenv("ROOT_ACCESS_KEY"),
		RootUserSecret:    os.Getenv("ROOT_SECRET_KEY"),
		MaxConnections:    1000,
		MaxRequests:       1000,
		MultipartMaxParts: 10000, // S3's limit
		Quiet:             true,
	})
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "Usage: s3-server HOST:PORT FOLDER")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
