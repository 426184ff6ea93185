package main

// switches says in words what cimd.admit and cimd.advertise stop as they stand,
// and what they do not (G-13, G-25).
func switches(admit, advertise bool) (admitMeans, advertiseMeans string) {
	admitMeans = "Clients that nobody registered come in where a policy admits them."
	if !admit {
		admitMeans = "Stops every client that is known by its document alone: new authorizations get a page and nothing is fetched, " +
			"codes and refresh tokens are refused, introspection says inactive, the metadata says nothing of such clients. " +
			"Does not stop: registered and pinned clients; revocation; the account page; JWT access tokens until they run out. " +
			"Ends nothing: grants go on when the switch is on again."
	}
	switch {
	case !admit && advertise:
		advertiseMeans = "Says nothing while admit is false: the metadata does not offer what is refused."
	case advertise:
		advertiseMeans = "The metadata says client_id_metadata_document_supported, so that clients try."
	default:
		advertiseMeans = "Stops the metadata from saying client_id_metadata_document_supported. " +
			"Does not stop a client that comes with the URL of its document all the same: that is admit."
	}
	return admitMeans, advertiseMeans
}
