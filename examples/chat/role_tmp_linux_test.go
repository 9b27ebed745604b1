package main

func playRole() bool { return false }
