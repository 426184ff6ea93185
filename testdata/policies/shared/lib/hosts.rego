package lib.hosts

trusted := {"app.example.com"}

late if input.clock.hour > data.lists.limits.hour

in_group(name) if name in input.user.groups
