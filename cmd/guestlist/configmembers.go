package main

// configMember is what the configuration may say under one name: a section with
// members of its own, or a value.
type configMember struct {
	section map[string]configMember // of a section
	value   valueReader             // of anything else
	env     string                  // the variable that overrides a value, if any
}

// members binds the names of design §13 to the fields of c. A name that has
// no effect yet is refused, so that nobody believes in a setting that does
// nothing.
func (c *config) members() map[string]configMember {
	return map[string]configMember{
		"issuer": {value: textValue(&c.Issuer), env: "GUESTLIST_ISSUER"},
		"listen": {value: textValue(&c.Listen), env: "GUESTLIST_LISTEN"},
		"tls": {section: map[string]configMember{
			"cert_file": {value: fileValue(&c.TLS.CertFile)},
			"key_file":  {value: fileValue(&c.TLS.KeyFile)},
		}},
		"store":         {value: textValue(&c.Store), env: "GUESTLIST_STORE"},
		"store_reserve": {value: integerValue(&c.StoreReserve)},
		"policies": {section: map[string]configMember{
			"path":     {value: fileValue(&c.Policies.Path), env: "GUESTLIST_POLICIES_PATH"},
			"watch":    {value: flagValue(&c.Policies.Watch)},
			"bundle":   {value: notYet},
			"unsigned": {value: flagValue(&c.Policies.Unsigned)},
		}},
		"cimd": {section: map[string]configMember{
			"admit":         {value: flagValue(c.CIMD.Admit)},
			"advertise":     {value: flagValue(c.CIMD.Advertise)},
			"cache_floor":   {value: durationValue(&c.CIMD.CacheFloor)},
			"cache_default": {value: durationValue(&c.CIMD.CacheDefault)},
			"cache_ceiling": {value: durationValue(&c.CIMD.CacheCeiling)},
			"max_bytes":     {value: integerValue(&c.CIMD.MaxBytes)},
			"timeout":       {value: durationValue(&c.CIMD.Timeout)},
			"retries":       {value: integerValue(&c.CIMD.Retries)},
			"caps":          {section: c.CIMD.Caps.members()},
			"budgets":       {section: c.CIMD.Budgets.members()},
			"look":          {section: c.CIMD.Look.members()},
		}},
		"outbound": {section: c.Outbound.members()},
		"people": {section: map[string]configMember{
			"file":     {value: fileValue(&c.People.File), env: "GUESTLIST_PEOPLE_FILE"},
			"upstream": {value: notYet},
		}},
		"clients":   {value: clientsValue(&c.Clients)},
		"resources": {value: sectionValues(&c.Resources, (*resourceConfig).members)},
		"issuers":   {value: notYet},
		"keys": {section: map[string]configMember{
			"dir": {value: fileValue(&c.Keys.Dir), env: "GUESTLIST_KEYS_DIR"},
		}},
		"facts":  {value: fileValue(&c.Facts)},
		"maxima": {value: treeValue(&c.Maxima)},
		"lifetimes": {section: map[string]configMember{
			"ticket":  {value: durationValue(&c.Lifetimes.Ticket)},
			"code":    {value: durationValue(&c.Lifetimes.Code)},
			"session": {value: durationValue(&c.Lifetimes.Session)},
		}},
		"decision_log": {section: map[string]configMember{
			"stdout":    {value: flagValue(&c.DecisionLog.Stdout)},
			"file":      {value: fileValue(&c.DecisionLog.File)},
			"retain":    {section: c.DecisionLog.Retain.members()},
			"exporters": {value: sectionValues(&c.DecisionLog.Exporters, (*exporterConfig).members)},
		}},
		"admin":           {section: c.Admin.members()},
		"tracing":         {section: c.Tracing.members()},
		"help":            {section: c.Help.members()},
		"webhooks":        {value: sectionValues(&c.Webhooks, (*webhookConfig).members)},
		"trusted_proxies": {value: networksValue(&c.TrustedProxies)},
		"log": {section: map[string]configMember{
			"level": {value: textValue(&c.Log.Level), env: "GUESTLIST_LOG_LEVEL"},
		}},
	}
}

func (c *resourceConfig) members() map[string]configMember {
	return map[string]configMember{
		"id":           {value: textValue(&c.ID)},
		"name":         {value: textValue(&c.Name)},
		"scopes":       {value: textsValue(&c.Scopes)},
		"token_format": {value: textValue(&c.TokenFormat)},
		"signing_alg":  {value: textValue(&c.SigningAlg)},
		"secret_file":  {value: fileValue(&c.SecretFile)},
	}
}
